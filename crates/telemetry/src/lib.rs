//! Names every metric once and exports it: the inventory, the series of a run, and what Prometheus and OpenTelemetry read.
//!
//! [`inventory`] is the one list from which code, `docs/metrics.md` and the checks of dashboards are made; [`run_series`] turns what is
//! known of a run into [`Family`]s, purely; `prometheus` writes them for whoever scrapes. `/metrics` of the operator, of workers and of
//! `plimsoll run` are the same functions on different snapshots.

pub mod admin;
pub mod document;
mod family;
pub mod inventory;
pub mod log;
pub mod otlp;
pub mod prometheus;
pub mod query;
mod series;

pub use family::{Exemplar, Family, LabelValue, Labels, Point, Value, gather};
pub use series::{Identity, Load, RunSeries, Workers, run_series, worker_series};
