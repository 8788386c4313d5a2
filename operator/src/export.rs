//! What the operator pushes by OTLP: the very series that it serves (`web.rs`). The pipeline is made by `main.rs`; reconciles and the log go
//! into it by `tracing`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll_telemetry::otlp::Pipeline;

use crate::web::Metrics;

/// How long the end may be delayed by a receiver that does not take what is left.
const FLUSH: Duration = Duration::from_secs(3);

/// What is pushed, if anything is.
pub(crate) struct Export {
    otlp: Option<Pipeline>,
    metrics: Arc<Metrics>,
}

impl Export {
    /// Begins to push.
    pub(crate) fn begin(otlp: Option<Pipeline>, metrics: &Arc<Metrics>) -> Self {
        let export = Self { otlp, metrics: Arc::clone(metrics) };
        if let Some(otlp) = &export.otlp {
            let metrics = Arc::clone(metrics);
            otlp.push(move || metrics.families());
        }
        export
    }

    /// What is known last of the runs, while this process still leads.
    pub(crate) fn say(&self) {
        if let Some(otlp) = &self.otlp {
            otlp.say(self.metrics.families(), SystemTime::now());
        }
    }

    /// Sends what is left.
    pub(crate) async fn finish(self) {
        if let Some(otlp) = self.otlp {
            otlp.finish(Vec::new(), FLUSH).await;
        }
    }
}
