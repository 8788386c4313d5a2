//! `cargo xtask bench`: what Plimsoll takes, measured beside something that cannot be beaten, with the goals next to the figures.
//! `cluster.rs` measures runs on a real cluster, `observe.rs` reads what they left, `figures.rs` prints.

pub mod cluster;
mod figures;
mod observe;
