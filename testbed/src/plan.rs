//! What becomes of one request: its delay, its answer, and what is done in place of answering. The protocols
//! (`http1.rs`, `http2.rs`) carry it out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Armed;
use crate::ledger::Account;
use crate::reply::Reply;
use crate::server::Server;
use crate::table::Compiled;

/// A path's account and who answers it.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) account: Arc<Account>,
    pub(crate) handler: Handler,
}

/// Who answers the requests to a path.
#[derive(Debug)]
pub(crate) enum Handler {
    Route(Arc<Compiled>),
    Fixed(Duration, Reply),
    Echo,
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
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Answer,
    /// Answers half of the body.
    Truncate,
    Reset,
    /// Never answers.
    Stall,
    /// Answers when this fault is over.
    StallDuring(Arc<Armed>),
}

/// Takes the request's place in all sequences that concern it and says what becomes of it.
pub(crate) fn plan<'a>(
    server: &Server,
    resolved: &'a Resolved,
    path: &str,
    echo: impl FnOnce() -> Reply,
) -> Plan<'a> {
    let answer = |delay, reply| Plan { delay, act: Act::Answer, reply };
    let mut plan = match &resolved.handler {
        Handler::Route(route) => by_route(route),
        Handler::Fixed(delay, reply) => answer(*delay, Cow::Borrowed(reply)),
        Handler::Echo => answer(Duration::ZERO, Cow::Owned(echo())),
    };
    if let Some(fault) = server.faults.active()
        && fault.covers(path)
    {
        disturb(&mut plan, &fault);
    }
    plan
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

/// Applies a fault; what the route does in place of answering stays.
fn disturb(plan: &mut Plan<'_>, fault: &Arc<Armed>) {
    let number = fault.take_number();
    plan.delay += fault.latency;
    if !matches!(plan.act, Act::Answer | Act::Truncate) {
        return;
    }
    if fault.fault.reset.is_some_and(|when| when.hits(number)) {
        plan.act = Act::Reset;
    } else if fault.fault.stall {
        plan.act = Act::StallDuring(fault.clone());
    } else if fault.errors.hits(number) {
        plan.act = Act::Answer;
        plan.reply = Cow::Owned(fault.error.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::fault::Fault;
    use crate::law::{Latency, When};
    use crate::route::{Errors, Route};
    use std::time::Instant;

    fn outcomes(server: &Server, path: &str, count: usize) -> Vec<String> {
        let (resolved, _) = server.resolve(path);
        let echo = || unreachable!("no echo is asked for");
        let one = |_| {
            let plan = plan(server, &resolved, path, echo);
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
        let delay = plan(&server, &resolved, "/a/3", || unreachable!()).delay;
        assert_eq!(delay, Duration::from_millis(3));
    }
}
