//! The manifest that `plimsoll run --url …` stands for.

use plimsoll_api::v1alpha1::API_VERSION;
use serde_json::{Value, json};

use crate::args::QuickArgs;

/// A LoadTest for one URL: the load of the flags, and an SLO that any healthy service holds, so that the run is judged.
pub(crate) fn manifest(url: &str, args: &QuickArgs) -> Value {
    let duration = args.duration.as_deref().unwrap_or("30s");
    let profile = match &args.rate {
        Some(rate) => json!({"arrivals": {"rate": rate}, "duration": duration}),
        None => json!({"users": args.users.unwrap_or(5), "duration": duration}),
    };
    json!({
        "apiVersion": API_VERSION,
        "kind": "LoadTest",
        "metadata": {"name": "quick"},
        "spec": {
            "target": {"url": url},
            "profile": profile,
            "slos": [{"name": "errors", "errorRate": {"atMost": "1%"}}],
        },
    })
}
