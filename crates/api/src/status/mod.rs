//! Says in the words of `v1alpha1` what is known of a run: status of a LoadTestRun and its LoadTest, stored result, report.
//!
//! The operator and `plimsoll run` fill the same views; `lower.rs` is the other side, which makes the plan.

mod failures;
mod figures;
mod fit;
mod history;
mod mirror;
mod rejudged;
mod report;
mod run;
mod stored;
mod stored_form;
mod summary;
mod view;

pub use failures::{FailureGroup, failures};
pub use fit::LARGEST_STATUS;
pub use history::HISTORY;
pub use mirror::test_status;
pub use rejudged::rejudged;
pub use report::{figures_heads, figures_rows, report, validation_report};
pub use run::run_status;
pub use stored::{MAX_POINTS, RESULT_VERSION, StoredResult};
pub use summary::asked_load;
pub use view::{Asked, Cause, Measured, RunRecord, RunView, TestView, Waiting};
