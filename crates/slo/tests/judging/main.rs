//! Judging as a whole: every kind of SLO (`kinds.rs`) and every row of the verdict table (`verdicts.rs`);
//! by answers of Prometheus (`prometheus.rs`), and again with other SLOs (`again.rs`).

mod again;
mod kinds;
mod metrics;
mod prometheus;
mod support;
mod verdicts;
