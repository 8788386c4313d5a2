//! Plans for the tests of this crate.

use std::sync::Arc;

use plimsoll_measure::Layout;
use plimsoll_scenario::{Action, Body, HttpStep, Scenario, Script, Step, StepAction};
use proptest::prelude::*;

use crate::{
    Arrival, Connections, ConnectionsPer, Distribution, HttpVersion, Load, LoadGroup, PLAN_VERSION, Plan,
    Preflight, Ramp, RunId, Share, Stride, Target, UserLife,
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

/// The loads of one plan, and those of another that starts so much later.
pub(crate) fn both(first: &Plan, second: &Plan, later: u64) -> Plan {
    let mut plan = first.clone();
    let moved = |group: &LoadGroup| LoadGroup { start: group.start + later, ..group.clone() };
    plan.loads.extend(second.loads.iter().map(moved));
    plan.duration = plan.loads.iter().map(LoadGroup::end).max().unwrap_or(0);
    plan
}

/// Plans of up to four closed loads, some of one scenario only.
pub(crate) fn groups(most: u64) -> impl Strategy<Value = Plan> {
    let scenarios = prop::sample::select(vec![vec![0], vec![1], vec![0, 1], vec![1, 0]]);
    let group = (ramps(most), 1_u64..2000, 0_u64..2000, scenarios);
    prop::collection::vec(group, 1..5).prop_map(|groups| {
        let one = |(ramps, duration, start, scenarios): (Vec<Ramp>, u64, u64, Vec<usize>)| {
            let mut plan = closed(ramps, duration);
            plan.loads[0].start = start;
            plan.loads[0].scenarios = scenarios;
            plan
        };
        let mut plans = groups.into_iter().map(one);
        let mut first = plans.next().unwrap();
        first.duration = first.loads[0].end();
        plans.fold(first, |all, plan| both(&all, &plan, 0))
    })
}

/// All users of a plan.
pub(crate) fn users(plan: &Plan) -> Vec<UserLife> {
    whole(plan).groups().flat_map(|part| part.users()).collect()
}

/// All arrivals of a plan, load by load.
pub(crate) fn arrivals(plan: &Plan) -> Vec<Arrival> {
    whole(plan).groups().flat_map(|part| part.arrivals()).collect()
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
        script: Script { scenarios: vec![scenario("first", 5), scenario("second", 2)], ..Script::default() },
        loads: vec![LoadGroup {
            load,
            start: 0,
            duration,
            graceful_ramp_down: 0,
            iterations: None,
            scenarios: vec![0, 1],
        }],
        duration,
        graceful_stop: 0,
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
        that: None,
        timeout: SECOND,
        redirects: 0,
    };
    Scenario {
        name: name.into(),
        weight,
        wait: None,
        state: vec![],
        on_start: vec![],
        on_stop: vec![],
        action: Action::Steps(vec![Step::new(
            "spec.scenarios[0].steps[0]",
            StepAction::Http(Box::new(step)),
        )]),
    }
}
