//! What the load generator counts of itself; its gauges are in `load.rs`.

use std::sync::Arc;

use plimsoll_measure::Snapshot;

use super::{Series, Value, value};
use crate::inventory::{
    GENERATOR_CONNECTIONS, GENERATOR_CORES, GENERATOR_DESCRIPTORS, GENERATOR_HELD, GENERATOR_LAG,
    GENERATOR_PORTS, GENERATOR_THROTTLED, GENERATOR_WALL, HELD_BY,
};

pub(super) fn generator(series: &mut Series<'_>, snapshot: &Snapshot) {
    let health = &snapshot.health;
    series.time(&GENERATOR_WALL, health.wall);
    series.time(&GENERATOR_THROTTLED, health.throttled);
    series.time(&GENERATOR_CORES, health.cores);
    let held = health.held;
    for (by, nanos) in [
        ("generator", held.generator),
        ("target", held.target),
        ("connections", held.connections),
        ("limits", held.limits),
    ] {
        let time = Value::Seconds(super::seconds(nanos));
        series.push(&GENERATOR_HELD, &[(HELD_BY, value(by))], time, Some(series.run.since));
    }
    series.histogram(&GENERATOR_LAG, &[], (health.lag.clone(), 0), &Arc::default());
    series.count(&GENERATOR_CONNECTIONS, &[], health.connections);
    series.count(&GENERATOR_PORTS, &[], health.no_ports);
    series.count(&GENERATOR_DESCRIPTORS, &[], health.no_descriptors);
}
