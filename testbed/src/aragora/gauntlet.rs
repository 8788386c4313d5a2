//! Gauntlets: long jobs that are started, polled until they are over, and exported.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::answers::{ok, problem, text, unknown, window};
use crate::reply::Reply;

/// What a gauntlet may be run on.
const TYPES: [&str; 3] = ["spec", "architecture", "policy"];

/// A gauntlet that was started.
#[derive(Debug)]
pub(super) struct Gauntlet {
    number: u64,
    started: Instant,
    length: Duration,
    fails: bool,
    verdict: String,
    input_type: String,
}

impl Gauntlet {
    fn status(&self, now: Instant) -> &'static str {
        let age = now.saturating_duration_since(self.started);
        if age < self.length / 10 {
            "pending"
        } else if age < self.length {
            "running"
        } else if self.fails {
            "failed"
        } else {
            "completed"
        }
    }

    /// What was found: one to four findings, the worse ones in fewer gauntlets.
    fn findings(&self) -> Vec<Value> {
        let severities: &[&str] = match self.number % 4 {
            0 => &["CRITICAL", "HIGH", "MEDIUM", "LOW"],
            1 => &["HIGH", "MEDIUM", "LOW"],
            2 => &["MEDIUM", "LOW"],
            _ => &["LOW"],
        };
        let one = |(i, severity): (usize, &&str)| json!({"id": format!("f{}", i + 1), "severity": severity, "title": format!("finding {}", i + 1)});
        severities.iter().enumerate().map(one).collect()
    }

    fn counts(&self) -> Value {
        let findings = self.findings();
        let of = |severity: &str| findings.iter().filter(|finding| finding["severity"] == severity).count();
        json!({"critical": of("CRITICAL"), "high": of("HIGH"), "medium": of("MEDIUM"), "low": of("LOW")})
    }

    fn result(&self) -> Value {
        json!({
            "findings": self.findings(),
            "verdict": {"verdict": self.verdict, "confidence": 0.9},
            "counts": self.counts(),
        })
    }
}

/// `POST /api/gauntlet/run`.
pub(super) fn run(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    text(&body, "input_content")?;
    let input_type = body.get("input_type").and_then(Value::as_str).unwrap_or("spec").to_owned();
    if !TYPES.contains(&input_type.as_str()) {
        let error = format!("input_type {input_type} is none of {}", TYPES.join(", "));
        return Err(problem(StatusCode::BAD_REQUEST, &error));
    }
    let jobs = &call.settings().jobs;
    let mut books = call.books();
    if jobs.quota > 0 && books.gauntlets.made() >= jobs.quota {
        let error = json!({"error": "quota of gauntlets exceeded; rate limit", "code": "quota_exceeded", "retry_after": 60});
        let reply = Reply::json(StatusCode::TOO_MANY_REQUESTS, &error);
        return Ok(reply.with_numbers(&[("retry-after", 60)]));
    }
    let id = books.gauntlets.add(|_, number| Gauntlet {
        number,
        started: call.request.at,
        length: Duration::from_secs_f64(jobs.gauntlet_ms / 1e3),
        fails: jobs.failed.is_some_and(|when| when.hits(number)),
        verdict: jobs.verdicts[(number % jobs.verdicts.len() as u64) as usize].clone(),
        input_type,
    });
    books.counts.gauntlets_created += 1;
    let mut document = json!({"gauntlet_id": id, "status": "pending", "message": "the gauntlet was started"});
    if !call.is_real() {
        document["id"] = json!(id);
    }
    Ok(Reply::json(StatusCode::ACCEPTED, &document))
}

/// `GET /api/gauntlet/{id}`.
pub(super) fn read(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let gauntlet = books.gauntlets.get(call.id).ok_or_else(|| unknown("gauntlet", call.id))?;
    let status = gauntlet.status(call.request.at);
    let mut document =
        json!({"gauntlet_id": call.id, "id": call.id, "status": status, "input_type": gauntlet.input_type});
    match status {
        "completed" if call.is_real() => document["result"] = gauntlet.result(),
        "completed" => {
            if let (Some(fields), Value::Object(result)) = (document.as_object_mut(), gauntlet.result()) {
                fields.extend(result);
            }
        }
        "failed" => document["error"] = json!("the gauntlet failed"),
        _ => {}
    }
    Ok(ok(&document))
}

/// `GET /api/gauntlet/results?limit=`: those that are completed, the newest first.
pub(super) fn results(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let done =
        books.gauntlets.newest().filter(|(_, gauntlet)| gauntlet.status(call.request.at) == "completed");
    let line = |(id, gauntlet): (String, &Gauntlet)| json!({"id": id, "gauntlet_id": id, "verdict": gauntlet.verdict, "counts": gauntlet.counts()});
    let results: Vec<Value> = done.take(window(call).0).map(line).collect();
    Ok(ok(&json!({"total": results.len(), "results": results})))
}

/// `GET /api/gauntlet/{id}/export?format=json`: of a completed gauntlet.
pub(super) fn export(call: &Call<'_>) -> Result<Reply, Reply> {
    let format = call.request.text("format").unwrap_or_else(|| "json".into());
    if format != "json" {
        return Err(problem(StatusCode::BAD_REQUEST, &format!("format {format} is not json")));
    }
    let books = call.books();
    let gauntlet = books.gauntlets.get(call.id).ok_or_else(|| unknown("gauntlet", call.id))?;
    if gauntlet.status(call.request.at) != "completed" {
        return Err(problem(StatusCode::NOT_FOUND, &format!("gauntlet {} is not completed", call.id)));
    }
    Ok(ok(&json!({"gauntlet_id": call.id, "format": "json", "export": gauntlet.result()})))
}
