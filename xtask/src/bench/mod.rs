//! `cargo xtask bench`: what Plimsoll takes, measured beside something that cannot be beaten, with the goals next to the figures.
//! `cluster.rs` measures runs on a real cluster, `observe.rs` reads what they left, `print.rs` prints with the arithmetic of `figures.rs`.

pub mod cluster;
pub mod engine;
mod figures;
mod observe;
mod print;
