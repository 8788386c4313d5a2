//! What the generator says of itself, beside what the cluster says of the target: a row of the dashboard of one run (`run.rs`).

use super::model::{Panel, series};
use super::parts::{CHOSEN, CORES, MERGED, RUN, WORKERS, quantile, rate, share};

/// A line at a bound while there is a run.
fn bound_line(bound: &str) -> String {
    format!("0 * sum by ({RUN}) (plimsoll_run_phase{{{CHOSEN}}}) + {bound}")
}

/// What the generator says of itself, beside what the cluster says of target and workers.
pub(super) fn panels() -> Vec<Panel> {
    let throttled = |selector: &str, by: &str| {
        share(
            &rate("plimsoll_generator_throttled_time_seconds_total", selector, by),
            &rate("plimsoll_generator_wall_time_seconds_total", selector, by),
        )
    };
    let each = "test_namespace, test, run, worker";
    vec![
        series(
            "Me: lateness (p99)",
            "s",
            "How late arrivals were sent, and how late waits of users ended, the generator's own part alone: connections that had to be \
             opened are not in it. Over 10 ms the run is Inconclusive. Empty for a load without arrivals and waits.",
        )
        .ask(quantile("0.99", "plimsoll_schedule_lateness_seconds", MERGED, RUN), "sends")
        .ask(quantile("0.99", "plimsoll_wait_lateness_seconds", MERGED, RUN), "waits")
        .ask(bound_line("0.01"), "bound: 10 ms")
        .dashed("bound")
        .size(8, 8),
        series(
            "Me: throttled",
            "percentunit",
            "Share of the time for which a CPU limit held the workers back. Over 1 % the run is Inconclusive: raise the limit or take more \
             workers. Empty for single workers that are not scraped.",
        )
        .ask(throttled(MERGED, RUN), "all workers")
        .ask(throttled(WORKERS, each), "worker {{worker}}")
        .ask(bound_line("0.01"), "bound: 1 %")
        .dashed("bound")
        .size(8, 8),
        series(
            "Me: own queue (p99)",
            "s",
            "How late the generator's cores came to what was ready, in the judged part: it is part of every latency. Over 10 ms the run is \
             Inconclusive. Empty before the judged part, and for single workers that are not scraped.",
        )
        .ask(quantile("0.99", "plimsoll_generator_loop_lag_seconds", MERGED, RUN), "all workers")
        .ask(quantile("0.99", "plimsoll_generator_loop_lag_seconds", WORKERS, each), "worker {{worker}}")
        .ask(bound_line("0.01"), "bound: 10 ms")
        .dashed("bound")
        .size(8, 8),
        series(
            "What arrivals waited for",
            "percentunit",
            "Share of the cores' time for which arrivals that were due waited: for the generator itself, for answers of the target (as many \
             as `arrivals.maxInFlight` allows are awaited), for a free connection, for a place in a capped step. The longest is the cause of \
             a run that is late.",
        )
        .ask(
            format!(
                "({}) / on ({RUN}) group_left () ({} > 0)",
                rate("plimsoll_generator_held_time_seconds_total", MERGED, "test_namespace, test, run, by"),
                rate("plimsoll_generator_cores_time_seconds_total", MERGED, RUN)
            ),
            "{{by}}",
        )
        .reaching(0.1)
        .size(8, 8),
        series("Me: workers", "short", "Workers of the plan, those that are there, and those that were lost after the start.")
            .ask(format!("max by ({RUN}, state) (plimsoll_workers{{{CHOSEN}}})"), "{{state}}")
            .stepped()
            .size(8, 8),
        series("Me: CPU", CORES, "CPU that the generator uses, in cores. High alone is no fault. Empty for single workers that are not scraped.")
            .ask(rate("plimsoll_generator_cpu_time_seconds_total", MERGED, RUN), "all workers")
            .ask(rate("plimsoll_generator_cpu_time_seconds_total", WORKERS, each), "worker {{worker}}")
            .size(8, 8),
        series(
            "The target: CPU",
            CORES,
            "CPU of the pods that the variables \"Target's namespace\" and \"Target's pods\" name, in cores. Flat at its limit while latency \
             grows: the target is full. Empty where the kubelet's container metrics are not scraped, or the variables match no pod.",
        )
        .ask(
            "sum by (namespace, pod) (rate(container_cpu_usage_seconds_total{namespace=~\"$target_namespace\", pod=~\"$target_pod\", \
             container!=\"\"}[$__rate_interval]))",
            "{{pod}}",
        )
        .size(8, 8),
    ]
}
