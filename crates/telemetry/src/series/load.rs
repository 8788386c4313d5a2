//! The load: what was asked for and delivered so far, and what is asked for and at work now.

use std::sync::Arc;

use plimsoll_measure::{RATE_SECONDS, Snapshot};

use super::Series;
use crate::inventory::{
    ACTIVE_REQUESTS, ARRIVALS_ASKED, ARRIVALS_DELIVERED, GENERATOR_CPU, ITERATIONS, OPEN_CONNECTIONS,
    RATE_ASKED, REQUESTS_ASKED, SCHEDULE_LATENESS, USERS_ACTIVE, USERS_ASKED, WAIT_LATENESS,
};

pub(super) fn load(series: &mut Series<'_>, snapshot: &Snapshot) {
    let asked = snapshot.series.iter().fold(0u64, |sum, second| sum.saturating_add(second.asked));
    let health = &snapshot.health;
    for (metric, count) in [
        (&REQUESTS_ASKED, asked),
        (&ARRIVALS_ASKED, health.due),
        (&ARRIVALS_DELIVERED, health.delivered),
        (&ITERATIONS, health.iterations),
    ] {
        series.count(metric, &[], count);
    }
    let none = Arc::default();
    series.histogram(&SCHEDULE_LATENESS, &[], (health.lateness.clone(), 0), &none);
    series.histogram(&WAIT_LATENESS, &[], (health.waits.clone(), 0), &none);
}

/// What is asked for and at work at this moment.
pub(super) fn now(series: &mut Series<'_>) {
    let load = series.run.load;
    if let Some(users) = load.users {
        series.gauge(&USERS_ASKED, &[], users as f64);
    }
    if let Some(rate) = load.rate {
        series.gauge(&RATE_ASKED, &[], rate as f64 / RATE_SECONDS as f64);
    }
    let Some(gauges) = load.gauges else { return };
    series.gauge(&USERS_ACTIVE, &[], gauges.users as f64);
    series.gauge(&ACTIVE_REQUESTS, &[], gauges.requests as f64);
    series.gauge(&OPEN_CONNECTIONS, &[], gauges.connections as f64);
    series.time(&GENERATOR_CPU, gauges.cpu);
}
