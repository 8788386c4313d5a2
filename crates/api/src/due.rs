//! When a LoadTest's spec asks for a run, and under which name. Pure; the operator makes the run, `status/mirror.rs` shows it.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::status::Cause;
use crate::v1alpha1::{LoadTest, LoadTestSpec, Trigger};

/// SHA-256 of a spec as canonical JSON, hexadecimal, without `runPolicy`: what decides whether a spec is another one.
///
/// Fields that are absent do not count, so a newer version with more fields gives the same hash.
#[must_use]
pub fn spec_hash(spec: &LoadTestSpec) -> String {
    let spec = LoadTestSpec { run_policy: None, ..spec.clone() };
    let mut text = String::new();
    // A spec has text keys only, which is all that serialising can fail on.
    canonical(&serde_json::to_value(&spec).unwrap_or_default(), &mut text);
    hex(text.as_bytes(), 64)
}

/// JSON without spaces, fields in the order of their names.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                canonical(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

fn hex(bytes: &[u8], digits: usize) -> String {
    let mut text = Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    text.truncate(digits);
    text
}

/// The last run that a spec asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAsked {
    /// Generation of the LoadTest that asked for it.
    pub generation: i64,
    /// [`spec_hash`] of that generation.
    pub spec_hash: String,
}

/// Whether the spec of a LoadTest asks for a run that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// It does not: its run is there, or was, or its trigger is Manual.
    No,
    /// It does, but `runPolicy.suspend` holds the run back.
    Suspended,
    /// It does.
    Now,
}

/// Whether the spec of a LoadTest asks for a run: its generation is newer than that of the last one, and its hash is another.
///
/// `stored` are the spec hashes of results that exist: where the runs themselves are gone, as after a restore from a backup, they keep
/// the test from running again.
#[must_use]
pub fn due(test: &LoadTest, last: Option<&LastAsked>, stored: &[&str]) -> Due {
    let policy = test.spec.run_policy.clone().unwrap_or_default();
    if policy.trigger.unwrap_or_default() != Trigger::OnChange {
        return Due::No;
    }
    let hash = spec_hash(&test.spec);
    let unanswered = match last {
        Some(last) => {
            test.metadata.generation.unwrap_or_default() > last.generation && hash != last.spec_hash
        }
        None => !stored.contains(&hash.as_str()),
    };
    match (unanswered, policy.suspend.unwrap_or_default()) {
        (false, _) => Due::No,
        (true, true) => Due::Suspended,
        (true, false) => Due::Now,
    }
}

/// Whether a run is due now, see [`due`].
#[must_use]
pub fn is_due(test: &LoadTest, last: Option<&LastAsked>, stored: &[&str]) -> bool {
    due(test, last, stored) == Due::Now
}

/// Name of the run of a test for a cause, `<test>-<hash>`: the same each time it is asked for. `number` tells the runs of one cause
/// apart: the generation of the spec, the seconds of the planned moment, the generation of what was rolled out. `uid` is the test's, so
/// that a test that is made anew has runs of its own.
#[must_use]
pub fn child_name(test: &str, uid: &str, cause: Cause, number: i64) -> String {
    format!("{test}-{}", hex(format!("{uid} {} {number}", cause.as_str()).as_bytes(), 8))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn test(generation: i64, spec: &Value) -> LoadTest {
        let mut test = LoadTest::new("t", serde_json::from_value(spec.clone()).unwrap());
        test.metadata.generation = Some(generation);
        test
    }

    fn spec() -> Value {
        json!({"target": {"url": "http://a"}, "profile": {"users": 5, "duration": "90s"}})
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut spec = spec();
        spec.as_object_mut().unwrap().entry(pointer.split('/').nth(1).unwrap()).or_insert(json!({}));
        match pointer.rsplit_once('/') {
            Some((parent, field)) if !parent.is_empty() => spec.pointer_mut(parent).unwrap()[field] = value,
            _ => spec[&pointer[1..]] = value,
        }
        spec
    }

    fn hash(spec: &Value) -> String {
        spec_hash(&serde_json::from_value(spec.clone()).unwrap())
    }

    #[test]
    fn the_hash_is_of_what_a_spec_means() {
        // Fixed: a stored result of an older version must be found again.
        assert_eq!(hash(&spec()), "199965ec2378d7b0b70567135c01898ed93b251c8e4960d065cc8cdf1fa4bf8f");
        for same in [
            json!({"profile": {"duration": "1m30s", "users": 5}, "target": {"url": "http://a"}}),
            with("/runPolicy/suspend", json!(true)),
            with("/slos", json!([])),
        ] {
            assert_eq!(hash(&same), hash(&spec()), "{same}");
        }
        for other in [
            with("/profile/users", json!(6)),
            with("/target/url", json!("http://b")),
            with("/workers/count", json!(1)),
        ] {
            assert_ne!(hash(&other), hash(&spec()), "{other}");
        }
    }

    #[test]
    fn due_when_generation_and_hash_are_new() {
        let last = |generation, spec: &Value| LastAsked { generation, spec_hash: hash(spec) };
        let same = spec();
        let other = with("/profile/users", json!(6));
        let paused = with("/runPolicy/suspend", json!(true));
        let manual = with("/runPolicy/trigger", json!("Manual"));
        let stored = hash(&same);
        for (name, test, last, stored, expected) in [
            ("never run", test(1, &same), None, vec![], Due::Now),
            ("the same spec", test(1, &same), Some(last(1, &same)), vec![], Due::No),
            ("another spec", test(2, &other), Some(last(1, &same)), vec![], Due::Now),
            (
                "back to an earlier spec",
                test(3, &same),
                Some(last(2, &other)),
                vec![stored.as_str()],
                Due::Now,
            ),
            ("run policy edited", test(2, &same), Some(last(1, &same)), vec![], Due::No),
            ("new default, generation as it was", test(1, &other), Some(last(1, &same)), vec![], Due::No),
            ("suspended", test(1, &paused), None, vec![], Due::Suspended),
            ("suspended after its run", test(2, &paused), Some(last(1, &same)), vec![], Due::No),
            ("resumed, and edited meanwhile", test(3, &other), Some(last(1, &same)), vec![], Due::Now),
            ("manual", test(1, &manual), None, vec![], Due::No),
            ("restored from a backup", test(1, &same), None, vec![stored.as_str()], Due::No),
            ("restored, then edited", test(1, &other), None, vec![stored.as_str()], Due::Now),
        ] {
            assert_eq!(due(&test, last.as_ref(), &stored), expected, "{name}");
            assert_eq!(is_due(&test, last.as_ref(), &stored), expected == Due::Now, "{name}");
        }
    }

    #[test]
    fn names_come_from_the_cause() {
        let name = |generation| child_name("checkout", "uid", Cause::Spec, generation);
        assert_eq!(name(1), name(1));
        assert_ne!(name(1), name(2));
        assert_ne!(name(1), child_name("checkout", "other", Cause::Spec, 1));
        assert_ne!(name(1), child_name("checkout", "uid", Cause::Schedule, 1));
        assert_eq!(name(1).len(), "checkout-".len() + 8);
    }
}
