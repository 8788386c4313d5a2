//! The Aragora endpoints: a debate service with logins, a knowledge store, gauntlets and pipelines, as its load tests
//! need it. Here is the table of its paths and what a request goes through; the modules below answer. The answers
//! are planned by `plan.rs` like those of any route, so faults, limits and counts are the same for all.

mod answers;
mod auth;
mod debates;
mod gauntlet;
mod knowledge;
mod live;
mod metrics;
mod open;
mod pipeline;
mod script;
mod settings;
mod spectate;
mod store;
mod table;
mod world;

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

pub use self::settings::{Aragora, Auth, Debates, Jobs, Outcome, Pace, Shape, Sockets, Sse, Unknown};

pub(crate) use self::answers::{problem, stamp};
pub(crate) use self::auth::is_good;
pub(crate) use self::debates::Debate;
pub(crate) use self::live::Live;
pub(crate) use self::script::{Script, envelope};
pub(crate) use self::spectate::counting;
pub(crate) use self::table::{Access, Endpoint, TABLE, find, matches, part_in};
pub(crate) use self::world::World;

use self::world::Books;
use crate::reply::Reply;
use crate::request::Incoming;
use crate::server::Server;

/// A request to one of the endpoints.
pub(crate) struct Call<'a> {
    pub(crate) server: &'a Server,
    pub(crate) request: &'a Incoming<'a>,
    pub(crate) live: &'a Live,
    /// The part of the path that a pattern leaves open; empty if it leaves none.
    pub(crate) id: &'a str,
}

impl Call<'_> {
    fn settings(&self) -> &Aragora {
        &self.live.settings
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.server.world.books()
    }

    fn is_real(&self) -> bool {
        self.live.settings.shape == Shape::Real
    }

    /// The body as a JSON object, or the refusal.
    fn body(&self) -> Result<Value, Reply> {
        let read: Option<Value> = serde_json::from_slice(self.request.body).ok();
        read.filter(Value::is_object)
            .ok_or_else(|| problem(StatusCode::BAD_REQUEST, "the body is no JSON object"))
    }

    /// A moment as the shape in use writes it.
    fn stamp(&self, at: std::time::Instant) -> Value {
        stamp(self.live.settings.shape, self.server.clock.unix_us(at))
    }
}

/// How long the next request to an endpoint takes.
pub(crate) fn delay(server: &Server, endpoint: &Endpoint) -> Duration {
    let live = server.faults.live();
    let number = server.world.take_number();
    let usual = live.latency[(number % live.latency.len() as u64) as usize];
    if endpoint.pattern == "/api/health/deep" {
        return usual + Duration::from_secs_f64(live.settings.deep_ms / 1e3);
    }
    usual
}

/// Answers a request to an endpoint.
pub(crate) fn answer(server: &Server, endpoint: &Endpoint, request: &Incoming<'_>) -> Reply {
    let live = server.faults.live();
    dispatch(&Call { server, request, live: &live, id: endpoint.id_in(request.path) }, endpoint)
}

fn dispatch(call: &Call<'_>, endpoint: &Endpoint) -> Reply {
    let asked = match call.request.method.as_str() {
        "HEAD" => "GET",
        other => other,
    };
    let Some((_, action)) = endpoint.methods.iter().find(|(method, _)| *method == asked) else {
        let allowed: Vec<&str> = endpoint.methods.iter().map(|(method, _)| *method).collect();
        let error = format!("{} does not take {asked}, but {}", endpoint.pattern, allowed.join(", "));
        return problem(StatusCode::METHOD_NOT_ALLOWED, &error);
    };
    let asks = match endpoint.access {
        Access::Open => false,
        Access::Token => call.settings().auth.required,
        Access::Bearer => true,
    };
    if asks && let Err(refusal) = auth::check(call) {
        return refusal;
    }
    action(call).unwrap_or_else(|refusal| refusal)
}
