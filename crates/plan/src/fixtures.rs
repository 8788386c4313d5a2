//! Plans for the tests of this crate.

use std::sync::Arc;

use plimsoll_measure::Layout;
use plimsoll_scenario::{Action, Body, HttpStep, Scenario, Step};
use proptest::prelude::*;

use crate::{
    Connections, ConnectionsPer, Distribution, HttpVersion, Load, PLAN_VERSION, Plan, Preflight, Ramp, RunId,
    Share, Stride, Target,
};

pub(crate) const SECOND: u64 = 1_000_000_000;
/// A rate of one arrival per second.
pub(crate) const PER_SECOND: u64 = plimsoll_measure::RATE_SECONDS;

pub(crate) fn ramp(duration: u64, from: u64, to: u64) -> Ramp {
    Ramp { duration, from, to }
}

/// Up to five ramps and jumps, a few hundred nanoseconds each.
pub(crate) fn ramps(most: u64) -> impl Strategy<Value = Vec<Ramp>> {
    prop::collection::vec((0_u64..500, 0..=most, 0..=most).prop_map(|(d, a, b)| ramp(d, a, b)), 1..6)
}

pub(crate) fn closed(users: Vec<Ramp>, duration: u64) -> Plan {
    plan(Load::Closed { users }, duration)
}

pub(crate) fn open(rate: Vec<Ramp>, duration: u64, distribution: Distribution) -> Plan {
    plan(Load::Open { rate, distribution, max_in_flight: 10_000 }, duration)
}

/// The plan as one share.
pub(crate) fn whole(plan: &Plan) -> Share {
    Share { plan: Arc::new(plan.clone()), stride: Stride { offset: 0, step: 1 } }
}

fn plan(load: Load, duration: u64) -> Plan {
    Plan {
        version: PLAN_VERSION,
        run: RunId::default(),
        seed: 7,
        workers: 1,
        target: Target {
            scheme: "http".into(),
            host: "127.0.0.1".into(),
            port: 80,
            base_path: String::new(),
            http: HttpVersion::Auto,
            tls: None,
            connections: Connections {
                per: ConnectionsPer::User,
                max: None,
                max_age: None,
                max_requests: None,
                resolve_per_connection: false,
            },
            preflight: Preflight::Connect,
            headers: vec![],
        },
        vars: vec![],
        load,
        duration,
        graceful_stop: 0,
        graceful_ramp_down: 0,
        iterations: None,
        scenarios: vec![scenario("first", 5), scenario("second", 2)],
        layout: Layout { requests: vec!["GET /".into()], ..Layout::default() },
    }
}

fn scenario(name: &str, weight: u32) -> Scenario {
    let step = HttpStep {
        request: 0,
        at: "spec.scenarios[0].steps[0]".into(),
        method: "GET".into(),
        path: "/".into(),
        query: vec![],
        headers: vec![],
        body: Body::Empty,
        expect: vec![(200, 399)],
        timeout: SECOND,
        redirects: 0,
    };
    Scenario {
        name: name.into(),
        weight,
        wait: None,
        action: Action::Steps(vec![Step::Http(Box::new(step))]),
    }
}
