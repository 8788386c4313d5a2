//! What building and testing Plimsoll needs beyond Cargo: tools, a private API server, a real cluster, images and a
//! web server whose log is the truth that counters are compared with. `main.rs` is the command line over it; the
//! tests of the operator and `e2e` use it as a library.

pub mod apiserver;
pub mod bench;
pub mod binaries;
pub mod chart;
pub mod checks;
pub mod cluster;
pub mod collector;
pub mod control_plane;
pub mod dashboards;
pub mod demo;
pub mod generate;
pub mod image;
pub mod kubeconfig;
pub mod nginx;
pub mod paths;
pub mod pki;
pub mod process;
pub mod prometheus;
pub mod report;
pub mod suite;
pub mod tools;
