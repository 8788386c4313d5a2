//! Defines the resources, translates them to the domain and a verdict to a status. Pure: no client, no clock, no async.
//!
//! A manifest takes this way: [`read()`] checks it against the CRDs' own schemas, [`lower()`] resolves it to a plan, and when the
//! run is judged, [`mod@status`] says it in the words of [`v1alpha1`]. The operator and the command line use the same functions.

pub mod conditions;
mod crds;
mod due;
mod lower;
pub mod presets;
mod quantity;
mod read;
pub mod status;
pub mod v1alpha1;
mod yaml;

pub use crds::crds;
pub use due::{Due, LastAsked, child_name, due, is_due, spec_hash};
pub use lower::{LowerError, References, Resolved, lower, questions, relower, target_host};
pub use quantity::{GoDuration, LatencyBound, ParseError, Rate, Share, Statistic, StatusMatch, Users};
pub use read::{Changes, Document, Object, Overlay, Position, Problem, Set, Source, read, read_with};
pub use yaml::{to_yaml, to_yaml_within};
