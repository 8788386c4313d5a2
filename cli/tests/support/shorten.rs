//! Makes a manifest short enough for a test, and blind to how busy the machine is: what it does stays, how long it takes does not.
//! Used by `docs.rs` and `aragora.rs`.

#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use plimsoll_api::v1alpha1::LoadTest;
use plimsoll_api::{GoDuration, to_yaml};
use serde_json::{Map, Value, json};

/// Stages with a window, and loads without stages.
const STRETCH: u64 = 2_000;
/// Other stages.
const RAMP: u64 = 500;

/// The same test in a few seconds, with a few users, five times as slow and a fifth as busy as it may be.
pub(crate) fn shorten(test: &LoadTest) -> String {
    let mut test = serde_json::to_value(test).unwrap();
    let spec = test["spec"].as_object_mut().unwrap();
    if let Some(profile) = spec.get_mut("profile") {
        shape(profile.as_object_mut().unwrap());
    }
    for scenario in spec["scenarios"].as_array_mut().unwrap() {
        if let Some(profile) = scenario.get_mut("profile") {
            shape(profile.as_object_mut().unwrap());
        }
        if let Some(after) = scenario.get_mut("startAfter") {
            at_most(after, STRETCH);
        }
    }
    for part in ["scenarios", "flows"] {
        spec.get_mut(part).into_iter().for_each(times);
    }
    for slo in spec["slos"].as_array_mut().unwrap() {
        bounds(slo.as_object_mut().unwrap());
    }
    spec.insert("validity".to_owned(), json!({"minSamples": 1, "maxLateness": "30s", "minDelivered": "1%"}));
    to_yaml(&test).unwrap()
}

/// Load over time: of a preset or without stages so long, of stages each so long.
fn shape(profile: &mut Map<String, Value>) {
    let few = |users: &mut Value| {
        if let Some(count) = users.as_u64() {
            *users = count.min(20).into();
        }
    };
    if let Some(stages) = profile.get_mut("stages") {
        for stage in stages.as_array_mut().unwrap() {
            let length = if stage.get("window").is_some() { STRETCH } else { RAMP };
            at_most(&mut stage["duration"], length);
            stage.get_mut("users").into_iter().for_each(few);
        }
    } else {
        // What ends after so many iterations has its whole time.
        let length = if profile.contains_key("iterations") { 60_000 } else { STRETCH };
        match profile.get_mut("duration") {
            Some(duration) => at_most(duration, length),
            None => drop(profile.insert("duration".to_owned(), json!("6s"))),
        }
    }
    if !profile.contains_key("iterations") {
        profile.get_mut("users").into_iter().for_each(few);
    }
}

/// Whatever a user waits for.
fn times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(times),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("wait" | "pause", Value::Object(lengths)) => {
                        lengths.values_mut().for_each(|length| divide(length, 20));
                    }
                    ("every", length @ Value::String(_)) => at_most(length, 100),
                    ("for", length @ Value::String(_)) => at_most(length, 300),
                    ("json", _) => {}
                    (_, value) => times(value),
                }
            }
        }
        _ => {}
    }
}

/// What depends on the machine: five times as slow, a fifth as much.
fn bounds(slo: &mut Map<String, Value>) {
    if let Some(bound) = slo.get_mut("latency").and_then(|latency| latency.get_mut("atMost"))
        && bound.as_str().is_some_and(|text| !text.ends_with('%'))
    {
        *bound = json!(GoDuration::from_millis(millis(bound) * 5).to_string());
    }
    if let Some(within) = slo.get_mut("errorRate").and_then(|rate| rate.get_mut("within")) {
        at_most(within, 1_000);
    }
    if let Some(floor) = slo.get_mut("throughput").and_then(|rate| rate.get_mut("atLeast")) {
        *floor = json!("1/s");
    }
}

fn millis(length: &Value) -> u64 {
    let length: GoDuration = length.as_str().unwrap().parse().unwrap();
    length.nanos / 1_000_000
}

fn at_most(length: &mut Value, limit: u64) {
    *length = json!(GoDuration::from_millis(millis(length).min(limit)).to_string());
}

fn divide(length: &mut Value, by: u64) {
    *length = json!(GoDuration::from_millis((millis(length) / by).max(1)).to_string());
}
