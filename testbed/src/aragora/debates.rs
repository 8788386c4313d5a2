//! Debates: created over HTTP, then running by the clock as their script says (`aragora/script.rs`).

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::answers::{ok, problem, unknown, window};
use super::script::Script;
use super::settings::Debates;
use super::world::Books;
use crate::reply::Reply;

/// The longest task, in characters.
const MAX_TASK: usize = 10_000;

/// The most agents of a debate.
const MAX_AGENTS: usize = 50;

/// A debate that was created.
#[derive(Clone, Debug)]
pub(crate) struct Debate {
    pub(crate) script: std::sync::Arc<Script>,
    pub(crate) created: Instant,
}

impl Debate {
    /// The time since its creation.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.created)
    }

    /// Whether it ended so long ago that it is forgotten.
    pub(crate) fn is_purged(&self, settings: &Debates, now: Instant) -> bool {
        let (Some(ms), Some(end)) = (settings.purge_after_ms, self.script.end()) else { return false };
        self.age(now) >= end + Duration::from_secs_f64(ms / 1e3)
    }
}

/// A debate by its id, unless it is forgotten.
pub(crate) fn of<'a>(call: &Call<'_>, books: &'a Books) -> Result<&'a Debate, Reply> {
    let kept = |debate: &&Debate| !debate.is_purged(&call.settings().debates, call.request.at);
    books.debates.get(call.id).filter(kept).ok_or_else(|| unknown("debate", call.id))
}

/// `POST /api/debate` and `POST /api/debates`.
pub(super) fn create(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let script = script(&body, &call.settings().debates)?;
    let (settings, now) = (&call.settings().debates, call.request.at);
    let mut books = call.books();
    if settings.purge_after_ms.is_some() {
        books.debates.forget_oldest(|debate| !debate.is_purged(settings, now));
    }
    let running = |debate: &Debate| !debate.script.is_over(debate.age(now));
    if settings.capacity > 0
        && books.debates.newest().filter(|(_, debate)| running(debate)).count() >= settings.capacity
    {
        let error = format!("{} debates are running, which is the most", settings.capacity);
        return Err(problem(StatusCode::SERVICE_UNAVAILABLE, &error));
    }
    let task = script.task.clone();
    let id = books.debates.add(|_, number| {
        let outcome = settings.outcomes[(number % settings.outcomes.len() as u64) as usize];
        let stuck = settings.stuck.is_some_and(|when| when.hits(number));
        Debate { script: std::sync::Arc::new(Script { outcome, stuck, ..script }), created: now }
    });
    books.counts.debates_created += 1;
    drop(books);
    let mut document = json!({"success": true, "debate_id": id, "status": "starting", "task": task});
    if call.is_real() {
        return Ok(ok(&document));
    }
    document["id"] = json!(id);
    Ok(Reply::json(StatusCode::CREATED, &document))
}

/// The course of the debate that a body asks for.
fn script(body: &Value, settings: &Debates) -> Result<Script, Reply> {
    let missing = |error: &str| problem(StatusCode::BAD_REQUEST, error);
    let wrong = |error: &str| problem(StatusCode::UNPROCESSABLE_ENTITY, error);
    let task = body.get("task").or(body.get("question")).ok_or_else(|| missing("task is missing"))?;
    let task = task.as_str().ok_or_else(|| wrong("task is no text"))?.trim();
    if task.is_empty() {
        return Err(missing("task is empty"));
    }
    if task.chars().count() > MAX_TASK {
        return Err(wrong("task is over 10000 characters"));
    }
    let agents = body.get("agents").ok_or_else(|| missing("agents are missing"))?;
    let agents = agents.as_array().ok_or_else(|| wrong("agents are no list"))?;
    let name =
        |agent: &Value| agent.as_str().or(agent.get("name").and_then(Value::as_str)).map(str::to_owned);
    let agents: Option<Vec<String>> = agents.iter().map(name).collect();
    let agents = agents.ok_or_else(|| wrong("an agent is a name or an object with a name"))?;
    if agents.len() < 2 {
        return Err(missing("agents are at least two"));
    }
    if agents.len() > MAX_AGENTS {
        return Err(wrong("agents are at most 50"));
    }
    let rounds = body.get("rounds").or_else(|| body.get("protocol")?.get("rounds"));
    let rounds = match rounds {
        None | Some(Value::Null) => 3,
        Some(rounds) => rounds.as_u64().unwrap_or(0),
    };
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    if !(1..=settings.max_rounds).contains(&rounds) {
        return Err(wrong(&format!("rounds are 1 to {}", settings.max_rounds)));
    }
    let time = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    let mut script = Script {
        task: task.to_owned(),
        agents,
        rounds,
        tokens: settings.tokens,
        start: time(settings.start_ms),
        gap: time(settings.message_ms),
        outcome: super::Outcome::Completed,
        stuck: false,
    };
    if let Some(ms) = settings.duration_ms {
        script.take_in_all(time(ms));
    }
    Ok(script)
}

/// What lists and searches tell of a debate.
fn line(call: &Call<'_>, id: &str, debate: &Debate) -> Value {
    json!({
        "id": id,
        "status": debate.script.status(debate.age(call.request.at)),
        "task": debate.script.task,
        "created_at": call.stamp(debate.created),
    })
}

/// `GET /api/debates`: the newest first.
pub(super) fn list(call: &Call<'_>) -> Result<Reply, Reply> {
    let (limit, offset) = window(call);
    let books = call.books();
    let kept = |debate: &Debate| !debate.is_purged(&call.settings().debates, call.request.at);
    let all = books.debates.newest().filter(|(_, debate)| kept(debate));
    let lines: Vec<Value> =
        all.skip(offset).take(limit).map(|(id, debate)| line(call, &id, debate)).collect();
    if call.settings().bare_lists {
        return Ok(ok(&Value::Array(lines)));
    }
    let total = books.debates.len();
    Ok(ok(&json!({"debates": lines, "total": total, "limit": limit, "offset": offset})))
}

/// `GET /api/debates/search?q=`: those whose task has the words in it, whatever their case, among the newest.
pub(super) fn search(call: &Call<'_>) -> Result<Reply, Reply> {
    const LOOKED_AT: usize = 1000;
    let query = call.request.text("q").unwrap_or_default();
    let wanted = query.to_lowercase();
    let (limit, _) = window(call);
    let books = call.books();
    let found = books.debates.newest().take(LOOKED_AT);
    let found = found.filter(|(_, debate)| debate.script.task.to_lowercase().contains(&wanted));
    let results: Vec<Value> = found.take(limit).map(|(id, debate)| line(call, &id, debate)).collect();
    if call.settings().bare_lists {
        return Ok(ok(&Value::Array(results)));
    }
    Ok(ok(&json!({"results": results, "query": query})))
}

/// `GET /api/debates/{id}`.
pub(super) fn read(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let debate = of(call, &books)?;
    let (script, age) = (&debate.script, debate.age(call.request.at));
    let passed = script.passed(age);
    let over = script.is_over(age) && script.outcome != super::Outcome::Error;
    Ok(ok(&json!({
        "id": call.id,
        "debate_id": call.id,
        "task": script.task,
        "status": script.status(age),
        "rounds": script.rounds,
        "current_round": script.round_of(passed),
        "agents": script.agents,
        "messages": script.message_count(passed),
        "consensus": over.then(|| script.consensus(script.outcome)),
        "created_at": call.stamp(debate.created),
    })))
}

/// `GET /api/debates/{id}/messages`.
pub(super) fn messages(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let debate = of(call, &books)?;
    let messages = debate.script.messages(debate.script.passed(debate.age(call.request.at)));
    Ok(ok(&json!({"debate_id": call.id, "total": messages.len(), "messages": messages})))
}

/// `GET /api/consensus`: of the newest debates that are over.
pub(super) fn consensus(call: &Call<'_>) -> Result<Reply, Reply> {
    let (limit, _) = window(call);
    let books = call.books();
    let over =
        books.debates.newest().filter(|(_, debate)| debate.script.is_over(debate.age(call.request.at)));
    let reached: Vec<Value> = over
        .take(limit)
        .map(|(id, debate)| json!({"debate_id": id, "consensus": debate.script.consensus(debate.script.outcome)}))
        .collect();
    Ok(ok(&json!({ "consensus": reached })))
}
