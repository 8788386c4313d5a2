//! Pushes metrics, spans and log records to an OpenTelemetry receiver. [`Pipeline`] is all that a process needs; [`Settings`] say where to,
//! [`Resource`] who sends. Decisions: `docs/adr/0013-otlp.md`.

mod encode;
mod link;
mod metrics;
mod outage;
mod pipeline;
mod queue;
mod records;
mod resource;
mod retry;
mod settings;

pub use link::LinkError;
pub use opentelemetry_sdk::trace::SpanData;
pub use pipeline::{Lost, Pipeline};
pub use resource::Resource;
pub use settings::{Protocol, Settings, SettingsError, Signal, Sources, Target};
