//! What the tests on a real cluster share: the cluster with the chart installed, namespaces, servers with logs, and what
//! became of a run. The tests are in `tests/cluster_*`; `cargo xtask test` brings the cluster up for them.

pub mod kstatus;
pub mod language;
pub mod local;
pub mod namespace;
pub mod operator;
pub mod outcome;
pub mod server;
pub mod shared;
pub mod stage;

pub use namespace::Namespace;
pub use outcome::Outcome;
pub use shared::Shared;
pub use stage::{Stage, stage};
