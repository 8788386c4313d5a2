//! Turns samples into mergeable snapshots. Pure: no clock, no IO, no async.
//!
//! The engine calls [`Recorder::record`] and [`Recorder::observe`] on each core and [`Recorder::take`] once a second; whoever collects adds the
//! [`Snapshot`]s with [`Snapshot::merge`]. `plimsoll-slo` judges the sum. Counting rules: design, "Counting".

mod batch;
mod bounds;
mod buckets;
mod failures;
mod fold;
mod gauges;
mod histogram;
mod joint;
mod layout;
mod merge;
mod meter;
mod parts;
mod percentile;
mod rate;
mod recorder;
mod sample;
mod seconds;
mod series;
mod snapshot;
mod stretch;
mod tally;
mod windows;

pub use failures::{EXAMPLE_CHARS, FAILURE_GROUPS, shorten};
pub use gauges::Gauges;
pub use histogram::{Histogram, SCALE};
pub use layout::{Bad, Layout, Metric, MetricKind, Objective, Population, Window};
pub use parts::{HistogramError, HistogramParts};
pub use percentile::{Percentile, rank};
pub use rate::RATE_SECONDS;
pub use recorder::Recorder;
pub use sample::{End, ErrorClass, MetricId, Observation, RequestId, Sample, Split, WindowId};
pub use series::{coalesce, merge_series};
pub use snapshot::{
    Cell, Counts, Failure, Health, Held, MetricCell, MetricTotal, ObjectiveCount, Second, Snapshot,
};
