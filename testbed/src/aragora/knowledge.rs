//! The knowledge store: nodes that can be made, read, changed and deleted, searches over them, federation between
//! workspaces, and evidence.

use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::answers::{ok, problem, text, unknown, window};
use super::world::Books;
use crate::reply::Reply;

/// The newest nodes that a search looks at.
const LOOKED_AT: usize = 1000;

/// A piece of knowledge.
#[derive(Clone, Debug)]
pub(super) struct Node {
    content: String,
    node_type: Value,
    metadata: Value,
    workspace: Value,
    version: u32,
    created: Value,
}

fn document(id: &str, node: &Node) -> Value {
    json!({
        "id": id,
        "node_id": id,
        "content": node.content,
        "node_type": node.node_type,
        "metadata": node.metadata,
        "workspace_id": node.workspace,
        "version": node.version,
        "created_at": node.created,
    })
}

/// `POST /api/knowledge/nodes`.
pub(super) fn create(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let content = text(&body, "content")?;
    let field = |name: &str, usual: Value| body.get(name).cloned().unwrap_or(usual);
    let node = Node {
        content,
        node_type: field("node_type", json!("fact")),
        metadata: field("metadata", json!({})),
        workspace: field("workspace_id", Value::Null),
        version: 1,
        created: call.stamp(call.request.at),
    };
    let mut books = call.books();
    books.counts.nodes_created += 1;
    let id = books.nodes.add(|_, _| node);
    Ok(Reply::json(StatusCode::CREATED, &json!({"success": true, "node_id": id, "id": id})))
}

/// `GET /api/knowledge/nodes/{id}`.
pub(super) fn read(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let node = books.nodes.get(call.id).ok_or_else(|| unknown("node", call.id))?;
    Ok(ok(&document(call.id, node)))
}

/// `PUT /api/knowledge/nodes/{id}`: changes what the body names.
pub(super) fn update(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let mut books = call.books();
    let node = books.nodes.get_mut(call.id).ok_or_else(|| unknown("node", call.id))?;
    if let Some(content) = body.get("content") {
        let content =
            content.as_str().ok_or_else(|| problem(StatusCode::BAD_REQUEST, "content is no text"))?;
        content.clone_into(&mut node.content);
    }
    for (name, field) in [("node_type", &mut node.node_type), ("metadata", &mut node.metadata)] {
        if let Some(value) = body.get(name) {
            *field = value.clone();
        }
    }
    node.version += 1;
    Ok(ok(&document(call.id, node)))
}

/// `DELETE /api/knowledge/nodes/{id}`.
pub(super) fn delete(call: &Call<'_>) -> Result<Reply, Reply> {
    let removed = call.books().nodes.remove(call.id).ok_or_else(|| unknown("node", call.id))?;
    Ok(ok(&json!({"success": true, "node_id": call.id, "version": removed.version})))
}

/// The newest nodes with the words in their content, whatever their case.
fn found(books: &Books, words: &str, limit: usize) -> Vec<Value> {
    let wanted = words.to_lowercase();
    let nodes = books.nodes.newest().take(LOOKED_AT);
    let nodes = nodes.filter(|(_, node)| node.content.to_lowercase().contains(&wanted));
    nodes.take(limit).map(|(id, node)| document(&id, node)).collect()
}

/// `GET /api/knowledge/search?q=&limit=`.
pub(super) fn search(call: &Call<'_>) -> Result<Reply, Reply> {
    let query = call.request.text("q").unwrap_or_default();
    let results = found(&call.books(), &query, window(call).0);
    if call.settings().bare_lists {
        return Ok(ok(&Value::Array(results)));
    }
    Ok(ok(&json!({"query": query, "total": results.len(), "results": results})))
}

/// `POST /api/knowledge/query`: an answer, and as its sources the newest nodes that share a word with the question.
pub(super) fn query(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let question = text(&body, "query")?;
    let words: Vec<String> = question
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 3)
        .map(str::to_lowercase)
        .collect();
    let books = call.books();
    let about = |content: &str| words.iter().any(|word| content.contains(word.as_str()));
    let nodes = books.nodes.newest().take(LOOKED_AT);
    let nodes = nodes.filter(|(_, node)| about(&node.content.to_lowercase())).take(3);
    let sources: Vec<Value> =
        nodes.map(|(id, node)| json!({"node_id": id, "content": node.content})).collect();
    Ok(ok(&json!({"query": question, "answer": format!("on {question}"), "sources": sources})))
}

/// `POST /api/knowledge/federation/sync`.
pub(super) fn sync(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let (from, to) = (text(&body, "source_workspace_id")?, text(&body, "target_workspace_id")?);
    let synced =
        call.books().nodes.newest().take(LOOKED_AT).filter(|(_, node)| node.workspace == json!(from)).count();
    let kind = body.get("sync_type").cloned().unwrap_or(json!("incremental"));
    let document = json!({
        "success": true,
        "status": "accepted",
        "source_workspace_id": from,
        "target_workspace_id": to,
        "sync_type": kind,
        "nodes": synced,
    });
    Ok(Reply::json(StatusCode::ACCEPTED, &document))
}

/// `POST /api/knowledge/federation/query`.
pub(super) fn federated(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let words = text(&body, "query")?;
    let results = found(&call.books(), &words, 20);
    Ok(ok(&json!({"query": words, "results": results})))
}

/// `POST /api/knowledge/evidence/collect`.
pub(super) fn collect(call: &Call<'_>) -> Result<Reply, Reply> {
    let body = call.body()?;
    let about = ["claim", "query", "topic", "node_id"].iter().find_map(|name| body.get(*name)?.as_str());
    let about =
        about.ok_or_else(|| problem(StatusCode::BAD_REQUEST, "claim, query, topic or node_id is missing"))?;
    let id = call.books().evidence.add(|_, _| about.to_owned());
    Ok(ok(&json!({"success": true, "evidence_id": id, "id": id, "sources": 1})))
}

/// `POST /api/knowledge/evidence/{id}/validate`.
pub(super) fn validate(call: &Call<'_>) -> Result<Reply, Reply> {
    let books = call.books();
    let about = books.evidence.get(call.id).ok_or_else(|| unknown("evidence", call.id))?;
    Ok(ok(&json!({"evidence_id": call.id, "claim": about, "valid": true, "confidence": 0.9})))
}
