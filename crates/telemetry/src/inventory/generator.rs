//! What the load generator says of itself: is it me, or the target? Filled by `../series/generator.rs`.

use super::{RUN_AND_WORKER, declare};

declare! {
    /// Wall time.
    GENERATOR_WALL = "plimsoll.generator.wall.time", "plimsoll_generator_wall_time_seconds_total", Counter, "s", [], RUN_AND_WORKER,
        "Time that workers made load, added up over all of them.";
    /// Throttled time.
    GENERATOR_THROTTLED = "plimsoll.generator.throttled.time", "plimsoll_generator_throttled_time_seconds_total", Counter, "s", [],
        RUN_AND_WORKER, "Of the wall time, that for which a CPU limit held workers back; over 1 % the run is not valid.";
    /// CPU time.
    GENERATOR_CPU = "plimsoll.generator.cpu.time", "plimsoll_generator_cpu_time_seconds_total", Counter, "s", [], RUN_AND_WORKER,
        "CPU time of the processes that made load, since they began.";
    /// Connections opened.
    GENERATOR_CONNECTIONS = "plimsoll.generator.connections", "plimsoll_generator_connections_total", Counter, "{connection}", [],
        RUN_AND_WORKER, "Connections opened.";
    /// Ports.
    GENERATOR_PORTS = "plimsoll.generator.ports_exhausted", "plimsoll_generator_ports_exhausted_total", Counter, "{connection}", [],
        RUN_AND_WORKER, "Connections that failed since the worker had no local port left.";
    /// Descriptors.
    GENERATOR_DESCRIPTORS = "plimsoll.generator.descriptors_exhausted", "plimsoll_generator_descriptors_exhausted_total", Counter,
        "{connection}", [], RUN_AND_WORKER, "Connections that failed since the worker had no file descriptor left.";
}
