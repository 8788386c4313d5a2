//! What the load generator says of itself: is it me, or the target? Filled by `../series/generator.rs`.

use super::{HELD_BY, RUN_AND_WORKER, declare};

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
    /// Time of the cores.
    GENERATOR_CORES = "plimsoll.generator.cores.time", "plimsoll_generator_cores_time_seconds_total", Counter, "s", [], RUN_AND_WORKER,
        "Wall time of the cores that made load, added up: the CPU time over it is how busy they were.";
    /// Loop lag.
    GENERATOR_LAG = "plimsoll.generator.loop.lag", "plimsoll_generator_loop_lag_seconds", Histogram, "s", [], RUN_AND_WORKER,
        "How late the cores came to what was ready, asked a hundred times a second in the judged part of the run.";
    /// What held arrivals up.
    GENERATOR_HELD = "plimsoll.generator.held.time", "plimsoll_generator_held_time_seconds_total", Counter, "s", [HELD_BY], RUN_AND_WORKER,
        "Time of the cores for which arrivals waited that were due, by what they waited for.";
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
