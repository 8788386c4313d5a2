//! Pipelines: made from ideas or run on a text, then polled for their status, graph and receipt.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::Call;
use super::answers::{ok, problem, text, unknown};
use super::world::Books;
use crate::reply::Reply;

/// The stages that a pipeline goes through, each as long as the others.
const STAGES: [&str; 4] = ["ideas", "goals", "actions", "orchestration"];

/// A pipeline that was started.
#[derive(Debug)]
pub(super) struct Pipeline {
    ideas: Vec<String>,
    stages: Vec<String>,
    started: Instant,
    length: Duration,
    receipt: bool,
}

impl Pipeline {
    /// How many stages are over.
    fn passed(&self, now: Instant) -> usize {
        let age = now.saturating_duration_since(self.started);
        let share = if self.length.is_zero() { 1.0 } else { age.as_secs_f64() / self.length.as_secs_f64() };
        ((share * self.stages.len() as f64) as usize).min(self.stages.len())
    }

    fn status(&self, now: Instant) -> &'static str {
        if self.passed(now) == self.stages.len() { "completed" } else { "running" }
    }

    fn stage_status(&self, now: Instant) -> Value {
        let passed = self.passed(now);
        let state = |i: usize| match i.cmp(&passed) {
            std::cmp::Ordering::Less => "complete",
            std::cmp::Ordering::Equal => "running",
            std::cmp::Ordering::Greater => "pending",
        };
        let stages = self.stages.iter().enumerate().map(|(i, stage)| (stage.clone(), json!(state(i))));
        Value::Object(stages.collect::<Map<_, _>>())
    }
}

/// Starts a pipeline; its id, and the number under which its canvas is known.
fn start(
    call: &Call<'_>,
    books: &mut Books,
    ideas: Vec<String>,
    stages: Vec<String>,
    receipt: bool,
) -> (String, u64) {
    let length = Duration::from_secs_f64(call.settings().jobs.pipeline_ms / 1e3);
    let pipeline = Pipeline { ideas, stages, started: call.request.at, length, receipt };
    books.counts.pipelines_created += 1;
    let id = books.pipelines.add(|_, _| pipeline);
    (id, books.pipelines.made())
}

/// `POST /api/v1/canvas/pipeline/from-ideas`.
pub(super) fn from_ideas(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let ideas = body.get("ideas").and_then(Value::as_array).filter(|ideas| !ideas.is_empty());
    let ideas = ideas.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "ideas are missing"))?;
    let idea = |idea: &Value| idea.as_str().map_or_else(|| idea.to_string(), str::to_owned);
    let ideas: Vec<String> = ideas.iter().map(idea).collect();
    let goals = ideas.len();
    let mut books = call.books();
    let (id, canvas) = start(call, &mut books, ideas, STAGES.map(String::from).to_vec(), true);
    let stages = books.pipelines.get(&id).map(|pipeline| pipeline.stage_status(call.request.at));
    let document = json!({
        "pipeline_id": id,
        "id": id,
        "ideas_canvas_id": canvas,
        "stage_status": stages,
        "goals_count": goals,
    });
    Ok(Reply::json(StatusCode::CREATED, &document))
}

/// `POST /api/v1/canvas/pipeline/run`.
pub(super) fn run(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let input = text(&body, "input_text")?;
    let named = body.get("stages").and_then(Value::as_array);
    let named: Option<Vec<String>> =
        named.map(|stages| stages.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let stages =
        named.filter(|stages| !stages.is_empty()).unwrap_or_else(|| STAGES.map(String::from).to_vec());
    let receipt = body.get("enable_receipts").and_then(Value::as_bool).unwrap_or(false);
    let mut books = call.books();
    let (id, canvas) = start(call, &mut books, vec![input], stages.clone(), receipt);
    let document = json!({
        "pipeline_id": id,
        "id": id,
        "ideas_canvas_id": canvas,
        "status": "running",
        "stages": stages,
        "dry_run": body.get("dry_run").and_then(Value::as_bool).unwrap_or(false),
    });
    Ok(Reply::json(StatusCode::ACCEPTED, &document))
}

fn of<'a>(call: &Call<'_>, books: &'a Books) -> Result<&'a Pipeline, Reply> {
    books.pipelines.get(call.id).ok_or_else(|| unknown("pipeline", call.id))
}

/// `GET /api/v1/canvas/pipeline/{id}/status`.
pub(super) fn status(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let (pipeline, now) = (of(call, &books)?, call.request.at);
    let document = json!({
        "pipeline_id": call.id,
        "status": pipeline.status(now),
        "stage_status": pipeline.stage_status(now),
    });
    Ok(ok(&document))
}

/// `GET /api/v1/canvas/pipeline/{id}/graph`: every idea with a goal, and an edge between the two.
pub(super) fn graph(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let pipeline = of(call, &books)?;
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    for (i, idea) in pipeline.ideas.iter().enumerate() {
        nodes.push(json!({"id": format!("idea-{i}"), "type": "idea", "label": idea}));
        nodes.push(json!({"id": format!("goal-{i}"), "type": "goal", "label": format!("goal of {idea}")}));
        edges.push(json!({"source": format!("idea-{i}"), "target": format!("goal-{i}")}));
    }
    Ok(ok(&json!({"pipeline_id": call.id, "nodes": nodes, "edges": edges})))
}

/// `GET /api/v1/canvas/pipeline/{id}/receipt`: of a pipeline that is over and was to have one.
pub(super) fn receipt(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let pipeline = of(call, &books)?;
    if !pipeline.receipt || pipeline.status(call.request.at) != "completed" {
        return Err(problem(StatusCode::NOT_FOUND, &format!("pipeline {} has no receipt", call.id)));
    }
    let receipt = json!({"stages": pipeline.stages, "ideas": pipeline.ideas.len(), "signed": true});
    Ok(ok(&json!({"pipeline_id": call.id, "receipt": receipt})))
}

/// `POST /api/v1/canvas/pipeline/extract-goals`: of a canvas that a pipeline has; any other is a bad request.
pub(super) fn extract_goals(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let canvas = body.get("ideas_canvas_id");
    let number = canvas.and_then(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok()));
    let books = call.books();
    let pipeline = number.and_then(|number| books.pipelines.by_number(number.checked_sub(1)?));
    let pipeline =
        pipeline.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "ideas_canvas_id is missing or unknown"))?;
    let goals: Vec<Value> =
        pipeline.ideas.iter().map(|idea| json!({"title": format!("goal of {idea}")})).collect();
    Ok(ok(&json!({"ideas_canvas_id": number, "goals_count": goals.len(), "goals": goals})))
}
