//! Is it me, or the target? What speaks against the load generator and what against the target, each a query that is 1 where it does.
//! The bounds are the defaults of `validity` (`crates/slo`), so a mark here is what would make a run Inconclusive there.

use super::parts::{CHOSEN, MERGED, RUN, quantile, quantile_so_far, rate, share, so_far};

/// A sign: the line's legend, whether it speaks against the generator, and its query in the last moments and over the run so far.
pub(super) struct Sign {
    pub(super) legend: &'static str,
    pub(super) ours: bool,
    pub(super) now: String,
    pub(super) so_far: String,
}

/// All signs, those against the generator first: where one of them holds, those against the target prove nothing.
pub(super) fn signs() -> Vec<Sign> {
    let over = |query: String, bound: &str| format!("({query}) > bool {bound}");
    let sign = |legend, ours, now: String, so_far: String, bound: &str| Sign {
        legend,
        ours,
        now: over(now, bound),
        so_far: over(so_far, bound),
    };
    let throttled = |sum: &dyn Fn(&str, &str, &str) -> String| {
        share(
            &sum("plimsoll_generator_throttled_time_seconds_total", MERGED, RUN),
            &sum("plimsoll_generator_wall_time_seconds_total", MERGED, RUN),
        )
    };
    let gone = |sum: &dyn Fn(&str, &str, &str) -> String| {
        let (ports, files) =
            ("plimsoll_generator_ports_exhausted_total", "plimsoll_generator_descriptors_exhausted_total");
        format!("{} + {}", sum(ports, MERGED, RUN), sum(files, MERGED, RUN))
    };
    let missing = |sum: &dyn Fn(&str, &str, &str) -> String| {
        let arrived = sum("plimsoll_arrivals_delivered_total", MERGED, RUN);
        format!("1 - {}", share(&arrived, &sum("plimsoll_arrivals_asked_total", MERGED, RUN)))
    };
    let lost = format!("max by ({RUN}) (plimsoll_workers{{{CHOSEN}, state=\"lost\"}})");
    let failed = |sum: &dyn Fn(&str, &str, &str) -> String| {
        share(
            &sum("plimsoll_requests_failed_total", MERGED, RUN),
            &sum("plimsoll_requests_asked_total", MERGED, RUN),
        )
    };
    let missed = format!(
        "max by ({RUN}) (plimsoll_slo_result{{{CHOSEN}, result=\"Missed\", severity=~\"Error|Critical\"}})"
    );
    let p99 =
        |metric: &str| (quantile("0.99", metric, MERGED, RUN), quantile_so_far("0.99", metric, MERGED, RUN));
    let (late, late_so_far) = p99("plimsoll_schedule_lateness_seconds");
    let (slow, slow_so_far) = p99("plimsoll_wait_lateness_seconds");
    let (queue, queue_so_far) = p99("plimsoll_generator_loop_lag_seconds");
    // Whose fault it is that arrivals wait: the cause that held them up for the longest time, as the verdict has it.
    let own = held(">=");
    // Single arrivals that are due and not yet begun are no finding: something has to have held them up.
    let own_strictly = held(">");
    let others = held("<");
    let charge = |sign: Sign, whose: &str| Sign {
        now: format!("({}) * ({whose})", sign.now),
        so_far: format!("({}) * ({whose})", sign.so_far),
        ..sign
    };
    let less = |legend, ours| sign(legend, ours, missing(&rate), missing(&so_far), "0.05");
    vec![
        charge(sign("Generator: sends late", true, late, late_so_far, "0.01"), &own),
        sign("Generator: own queue", true, queue, queue_so_far, "0.01"),
        sign("Generator: waits end late", true, slow, slow_so_far, "0.01"),
        sign("Generator: throttled", true, throttled(&rate), throttled(&so_far), "0.01"),
        sign("Generator: no ports or files left", true, gone(&rate), gone(&so_far), "0"),
        charge(less("Generator: sends less than asked", true), &own_strictly),
        sign("Generator: workers lost", true, lost.clone(), lost, "0"),
        charge(less("Target: holds arrivals up", false), &others),
        sign("Target: over 1 % fail", false, failed(&rate), failed(&so_far), "0.01"),
        sign("Target: an SLO is missed", false, missed.clone(), missed, "0"),
    ]
}

/// 1 where the time for which arrivals waited for the generator stands so to the longest for which they waited for something else.
fn held(comparison: &str) -> String {
    let metric = "plimsoll_generator_held_time_seconds_total";
    format!(
        "sum by ({RUN}) ({metric}{{{MERGED}, by=\"generator\"}}) {comparison} bool max by ({RUN}) (sum by ({RUN}, by) \
         ({metric}{{{MERGED}, by!=\"generator\"}}))"
    )
}

/// 0: nothing speaks against anybody; 1: against the target; 2: against the generator, whatever is said of the target.
pub(super) fn culprit() -> String {
    let weighed = signs().into_iter().map(|sign| {
        let weight = if sign.ours { 2 } else { 1 };
        format!("label_replace({weight} * ({}), \"sign\", \"{}\", \"\", \"\")", sign.so_far, sign.legend)
    });
    format!("max by ({RUN}) ({})", weighed.collect::<Vec<_>>().join(" or "))
}
