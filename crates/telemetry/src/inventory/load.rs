//! The load: what was asked for, what was delivered, and how many are at work. Filled by `../series/load.rs`.

use super::{RUN, RUN_AND_WORKER, declare};

declare! {
    /// Requests asked for.
    REQUESTS_ASKED = "plimsoll.requests.asked", "plimsoll_requests_asked_total", Counter, "{request}", [], RUN_AND_WORKER,
        "Requests that were due (open model) or begun (closed model), in all windows; to be set against those sent.";
    /// Arrivals due.
    ARRIVALS_ASKED = "plimsoll.arrivals.asked", "plimsoll_arrivals_asked_total", Counter, "{arrival}", [], RUN_AND_WORKER,
        "Arrivals of the open model that were due in the judged part of the run.";
    /// Arrivals delivered.
    ARRIVALS_DELIVERED = "plimsoll.arrivals.delivered", "plimsoll_arrivals_delivered_total", Counter, "{arrival}", [], RUN_AND_WORKER,
        "Of the arrivals asked for, those that the generator began: `validity.minDelivered` is on their share.";
    /// Iterations.
    ITERATIONS = "plimsoll.iterations", "plimsoll_iterations_total", Counter, "{iteration}", [], RUN_AND_WORKER,
        "Iterations that users finished, or arrivals that were served.";
    /// Lateness of sends.
    SCHEDULE_LATENESS = "plimsoll.schedule.lateness", "plimsoll_schedule_lateness_seconds", Histogram, "s", [], RUN_AND_WORKER,
        "How late the generator sent arrivals of the open model, without opening connections: `validity.maxLateness` is on its p99.";
    /// Lateness of waits.
    WAIT_LATENESS = "plimsoll.wait.lateness", "plimsoll_wait_lateness_seconds", Histogram, "s", [], RUN_AND_WORKER,
        "How late waits of the closed model ended: `validity.maxLateness` is on its p99.";
    /// Users asked for.
    USERS_ASKED = "plimsoll.users.asked", "plimsoll_users_asked", Gauge, "{user}", [], RUN,
        "Virtual users that the profile asks for now; only where a load of the closed model is.";
    /// Arrivals asked for per second.
    RATE_ASKED = "plimsoll.arrivals.rate", "plimsoll_arrivals_rate", Gauge, "{arrival}/s", [], RUN,
        "Arrivals per second that the profile asks for now; only where a load of the open model is.";
    /// Users at work.
    USERS_ACTIVE = "plimsoll.users.active", "plimsoll_users_active", UpDownCounter, "{user}", [], RUN_AND_WORKER,
        "Virtual users that are at work: those of the closed model, and one for each arrival that is being served.";
    /// Requests under way.
    ACTIVE_REQUESTS = "http.client.active_requests", "http_client_active_requests", UpDownCounter, "{request}", [], RUN_AND_WORKER,
        "Requests under way, from when they are begun, waiting for a connection included.";
    /// Connections that are open.
    OPEN_CONNECTIONS = "http.client.open_connections", "http_client_open_connections", UpDownCounter, "{connection}", [], RUN_AND_WORKER,
        "Connections to the target that are open, in use or idle.";
}
