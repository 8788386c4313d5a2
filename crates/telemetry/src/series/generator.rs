//! What the load generator counts of itself; its gauges are in `load.rs`.

use plimsoll_measure::Snapshot;

use super::Series;
use crate::inventory::{
    GENERATOR_CONNECTIONS, GENERATOR_DESCRIPTORS, GENERATOR_PORTS, GENERATOR_THROTTLED, GENERATOR_WALL,
};

pub(super) fn generator(series: &mut Series<'_>, snapshot: &Snapshot) {
    let health = &snapshot.health;
    series.time(&GENERATOR_WALL, health.wall);
    series.time(&GENERATOR_THROTTLED, health.throttled);
    series.count(&GENERATOR_CONNECTIONS, &[], health.connections);
    series.count(&GENERATOR_PORTS, &[], health.no_ports);
    series.count(&GENERATOR_DESCRIPTORS, &[], health.no_descriptors);
}
