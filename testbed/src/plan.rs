//! What becomes of one request: its delay, its answer, and what is done in place of answering. The protocols
//! (`http1.rs`, `http2.rs`) carry it out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::aragora::{self, Endpoint};
use crate::fault::Armed;
use crate::ledger::Account;
use crate::limit::{Limiter, Verdict};
use crate::reply::{self, Reply};
use crate::request::Incoming;
use crate::rule::{Disturbance, Instead};
use crate::server::Server;
use crate::table::{Compiled, injected};
use crate::websocket::{self, Door, Opening};

/// A path's account and who answers it.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) account: Arc<Account>,
    pub(crate) handler: Handler,
    /// The path, or the pattern that stands for it.
    pub(crate) name: Box<str>,
}

/// Who answers the requests to a path.
#[derive(Debug)]
pub(crate) enum Handler {
    Route(Arc<Compiled>),
    Fixed(Duration, Reply),
    Echo,
    /// A counting event stream.
    Sse,
    Socket(&'static Door),
    Aragora(&'static Endpoint),
}

impl Handler {
    /// Whether the body of a request is to be kept for it.
    pub(crate) fn wants_body(&self) -> bool {
        matches!(self, Handler::Echo | Handler::Aragora(_))
    }
}

/// What becomes of one request.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// From the last byte of the request read to the first byte of the response.
    pub(crate) delay: Duration,
    pub(crate) act: Act,
    pub(crate) reply: Cow<'a, Reply>,
}

/// What is done when the delay is over.
#[derive(Debug)]
pub(crate) enum Act {
    Answer,
    /// Answers half of the body.
    Truncate,
    Reset,
    /// Ends the connection without an answer.
    Drop,
    /// Never answers.
    Stall,
    /// Answers when this fault is over.
    StallDuring(Arc<Armed>),
    /// Answers, and then the connection is a WebSocket.
    Upgrade(Box<Opening>),
}

/// Takes the request's place in all sequences that concern it and says what becomes of it. What a fault or a limit
/// keeps from being answered has no effect on what the Aragora endpoints remember.
pub(crate) fn plan<'a>(server: &Server, resolved: &'a Resolved, request: &Incoming<'_>) -> Plan<'a> {
    let asked = (request.path, request.method.as_str());
    let fault = server.faults.active();
    let Disturbance { added, latency, instead } = match &fault {
        Some(armed) => {
            server.faults.leak(armed.leaks(asked, &resolved.name));
            armed.disturb(asked, &resolved.name, request.at)
        }
        None => Disturbance::default(),
    };
    let prevented = instead.as_ref().is_some_and(|instead| !matches!(instead, Instead::Stall));
    let limiter = server.faults.limiter().filter(|_| !prevented);
    let verdict = limiter.and_then(|limiter: Arc<Limiter>| limiter.take(request, &resolved.name));
    let refused = verdict.is_some_and(|verdict| !verdict.allowed);
    let mut plan = by_handler(server, resolved, request, prevented || refused);
    plan.delay = latency.unwrap_or(plan.delay) + added;
    if !matches!(plan.act, Act::Reset | Act::Stall) {
        if let Some(verdict) = verdict {
            limit(server, &mut plan, verdict);
        }
        if let (Some(instead), Some(fault)) = (instead, fault) {
            replace(&mut plan, instead, fault);
        }
    }
    plan
}

/// What the answerer of the path does. One that is `prevented` only says how long it would take.
fn by_handler<'a>(
    server: &Server,
    resolved: &'a Resolved,
    request: &Incoming<'_>,
    prevented: bool,
) -> Plan<'a> {
    let answer = |delay, reply| Plan { delay, act: Act::Answer, reply };
    let nothing = || Cow::Owned(Reply::new(StatusCode::OK, "text/plain", Bytes::new()));
    match &resolved.handler {
        Handler::Route(route) => by_route(route),
        Handler::Fixed(delay, reply) => answer(*delay, Cow::Borrowed(reply)),
        Handler::Echo => answer(Duration::ZERO, Cow::Owned(reply::echo(request))),
        Handler::Aragora(endpoint) if prevented => answer(aragora::delay(server, endpoint), nothing()),
        Handler::Sse | Handler::Socket(_) if prevented => answer(Duration::ZERO, nothing()),
        Handler::Sse => answer(Duration::ZERO, Cow::Owned(aragora::counting(server, request))),
        Handler::Aragora(endpoint) => {
            let delay = aragora::delay(server, endpoint);
            answer(delay, Cow::Owned(aragora::answer(server, endpoint, request)))
        }
        Handler::Socket(door) => {
            let delay = websocket::handshake_delay(server, door);
            match websocket::open(server, door, request) {
                Ok((opening, reply)) => {
                    Plan { delay, act: Act::Upgrade(Box::new(opening)), reply: Cow::Owned(reply) }
                }
                Err(refusal) => answer(delay, Cow::Owned(refusal)),
            }
        }
    }
}

fn by_route(route: &Compiled) -> Plan<'_> {
    let number = route.take_number();
    let mut plan =
        Plan { delay: route.latency(number), act: Act::Answer, reply: Cow::Borrowed(route.reply(number)) };
    if route.reset.is_some_and(|when| when.hits(number)) {
        plan.act = Act::Reset;
    } else if route.stall.is_some_and(|when| when.hits(number)) {
        plan.act = Act::Stall;
    } else if let Some((when, error)) = &route.errors
        && when.hits(number)
    {
        plan.reply = Cow::Borrowed(error);
    } else if route.truncate.is_some_and(|when| when.hits(number)) {
        plan.act = Act::Truncate;
    }
    plan
}

/// Applies what a rate limit says of the request.
fn limit(server: &Server, plan: &mut Plan<'_>, verdict: Verdict) {
    if verdict.allowed {
        plan.reply = Cow::Owned(verdict.tell(plan.reply.clone().into_owned()));
        return;
    }
    server.world.books().counts.limited += 1;
    *plan = Plan { delay: Duration::ZERO, act: Act::Answer, reply: Cow::Owned(verdict.refusal()) };
}

/// Puts what a fault does in place of the answer.
fn replace(plan: &mut Plan<'_>, instead: Instead, fault: Arc<Armed>) {
    match instead {
        Instead::Reset => plan.act = Act::Reset,
        Instead::Drop => plan.act = Act::Drop,
        Instead::Stall => {
            if matches!(plan.act, Act::Upgrade(_)) {
                // A handshake that was held back does not become a socket late.
                plan.reply = Cow::Owned(injected(StatusCode::SERVICE_UNAVAILABLE));
            }
            plan.act = Act::StallDuring(fault);
        }
        Instead::Error(error) => {
            plan.act = Act::Answer;
            plan.reply = Cow::Owned(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::fault::Fault;
    use crate::law::{Latency, When};
    use crate::route::{Errors, Route};
    use http::Method;
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Instant;

    fn get(path: &str) -> Incoming<'_> {
        Incoming {
            method: &Method::GET,
            path,
            query: None,
            protocol: "HTTP/1.1",
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            body: &[],
            at: Instant::now(),
            headers: &Vec::new,
        }
    }

    fn outcomes(server: &Server, path: &str, count: usize) -> Vec<String> {
        let (resolved, _) = server.resolve(path);
        let one = |_| {
            let plan = plan(server, &resolved, &get(path));
            match plan.act {
                Act::Answer => plan.reply.status.as_str().to_owned(),
                other => format!("{other:?}").split('(').next().unwrap_or_default().to_lowercase(),
            }
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_reset_wins_over_a_stall_over_an_error_over_a_cut() {
        let route = Route {
            reset: Some(When::Every(6)),
            stall: Some(When::Every(3)),
            errors: Some(Errors { when: When::Every(2), status: 500 }),
            truncate: Some(When::First(5)),
            ..Route::at("/x")
        };
        let server = Server::new(&Config { routes: vec![route], ..Config::default() }, None).unwrap();
        let expected = ["truncate", "500", "stall", "500", "truncate", "reset", "200"];
        assert_eq!(outcomes(&server, "/x", 7), expected);
    }

    #[test]
    fn a_fault_disturbs_what_it_covers_and_begins_counting_at_itself() {
        let route = Route { latency: Latency::Constant(1.0), statuses: vec![200, 201], ..Route::under("/a") };
        let server = Server::new(&Config { routes: vec![route], ..Config::default() }, None).unwrap();
        assert_eq!(outcomes(&server, "/a/1", 1), ["200"]);
        let fault = Fault { path: Some("/a".into()), error_rate: 0.5, latency_ms: 2.0, ..Fault::default() };
        server.faults.set(fault, Instant::now()).unwrap();
        assert_eq!(outcomes(&server, "/a/2", 4), ["201", "503", "201", "503"]);
        assert_eq!(outcomes(&server, "/b", 2), ["200", "200"]);
        let (resolved, _) = server.resolve("/a/3");
        let delay = plan(&server, &resolved, &get("/a/3")).delay;
        assert_eq!(delay, Duration::from_millis(3));
    }

    #[test]
    fn a_limit_refuses_at_once_and_a_fault_spares_its_bucket() {
        let limits = vec![crate::limit::Limit { burst: 2, ..Default::default() }];
        let server = Server::new(&Config { limits, ..Config::default() }, None).unwrap();
        let fault = Fault { reset: Some(When::First(3)), latency_ms: 2.0, ..Fault::default() };
        server.faults.set(fault, Instant::now()).unwrap();
        assert_eq!(outcomes(&server, "/delay/9", 6), ["reset", "reset", "reset", "200", "200", "429"]);
        let (resolved, _) = server.resolve("/delay/9");
        let plan = plan(&server, &resolved, &get("/delay/9"));
        assert_eq!(plan.delay, Duration::ZERO);
        assert_eq!(plan.reply.header("retry-after").as_deref(), Some("60"));
    }
}
