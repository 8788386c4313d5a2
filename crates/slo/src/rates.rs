//! Judges `errorRate`, `timeoutRate`, `statusRate` by their counters, and `throughput` by complete requests over judged time.

use plimsoll_measure::{Bad, ErrorClass};

use crate::scope::{Draft, Evidence, Finding};
use crate::text::{self, Ratio};
use crate::{Reason, Slo};

/// At most this much, or at least; a limit that is absent holds.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) at_most: Option<u64>,
    pub(crate) at_least: Option<u64>,
}

impl Limits {
    /// Whether a value is within the limits, which are given as what a ratio is compared with.
    pub(crate) fn hold(self, value: Ratio, as_ratio: impl Fn(u64) -> Ratio) -> bool {
        self.at_most.is_none_or(|limit| value.at_most(as_ratio(limit)))
            && self.at_least.is_none_or(|limit| as_ratio(limit).at_most(value))
    }

    /// `≤ 1%`, `≥ 20/s`.
    pub(crate) fn bound(self, show: impl Fn(u64) -> String) -> String {
        let at_most = self.at_most.map(|limit| format!("≤ {}", show(limit)));
        let at_least = self.at_least.map(|limit| format!("≥ {}", show(limit)));
        [at_least, at_most].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// `allowed 1%`, `wanted at least 20/s`.
    pub(crate) fn words(self, show: impl Fn(u64) -> String) -> String {
        let at_most = self.at_most.map(|limit| format!("allowed {}", show(limit)));
        let at_least = self.at_least.map(|limit| format!("wanted at least {}", show(limit)));
        [at_least, at_most].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Judges the share of requests that the SLO's counters call bad; `what` says of those what they are.
pub(crate) fn share(slo: &Slo, limits: Limits, what: &str, evidence: &Evidence) -> Finding {
    let tally = evidence.tally(slo);
    let side = |share: Ratio| limits.hold(share, text::ppb_percent);
    let exact = (tally.total > 0).then(|| text::percent(tally.bad, tally.total, 2, side));
    let draft = Draft::new(slo, limits.bound(text::share_exact), tally.total).counted(tally, exact);
    if let Some(why) = evidence.too_few(slo, tally.total) {
        return draft.unknown(why);
    }
    let holds = side(Ratio(u128::from(tally.bad) * 100, tally.total.into()));
    let value = text::percent(tally.bad, tally.total, 1, side);
    let some = if tally.bad == 0 { "none".to_owned() } else { text::count(tally.bad) };
    let requests = text::counted(tally.total, "request");
    let words = format!("{value}, {} ({requests}, {some} {what})", limits.words(text::share_exact));
    draft.decided(holds, value, &words)
}

/// Judges a share of requests by the status of their answers. Where nothing was answered at all, a share that is at most something
/// holds for want of answers, which proves nothing.
pub(crate) fn status_share(slo: &Slo, limits: Limits, evidence: &Evidence) -> Finding {
    let tally = evidence.tally(slo);
    let silent = tally.total > 0 && tally.bad == 0 && evidence.counts(slo).complete == 0;
    if silent && limits.hold(Ratio(0, 1), text::ppb_percent) {
        let why = format!("none of {} was answered", text::counted(tally.total, "request"));
        return Draft::new(slo, limits.bound(text::share_exact), tally.total).unknown((Reason::NoData, why));
    }
    share(slo, limits, &statuses(slo, evidence), evidence)
}

/// What the bad requests of an error rate are: `failed`, or `failed by TLS or Timeout`.
pub(crate) fn failures(classes: &[ErrorClass]) -> String {
    if classes.is_empty() {
        return "failed".to_owned();
    }
    let names: Vec<String> = classes.iter().map(|class| class_name(*class).to_owned()).collect();
    format!("failed by {}", names.join(" or "))
}

/// The name that `errorRate.class` has for a class.
#[must_use]
pub fn class_name(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Dns => "DNS",
        ErrorClass::Connect => "Connect",
        ErrorClass::Tls => "TLS",
        ErrorClass::Timeout => "Timeout",
        ErrorClass::Reset => "Reset",
        ErrorClass::Protocol => "Protocol",
        ErrorClass::Status => "Status",
        ErrorClass::Body => "Body",
    }
}

/// What the counted requests of a status rate are: `answered with 429 or 500-599`.
fn statuses(slo: &Slo, evidence: &Evidence) -> String {
    let objective = slo.objective.and_then(|at| evidence.layout.objectives.get(at));
    let Some(Bad::Status { ranges }) = objective.map(|objective| &objective.bad) else {
        return "answered with one of the statuses".to_owned();
    };
    let show = |(from, to): &(u16, u16)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    format!("answered with {}", ranges.iter().map(show).collect::<Vec<_>>().join(" or "))
}

/// Judges complete requests per second of judged time that was measured; limits are per [`RATE_SECONDS`].
/// The rate is shown in the unit of the limits.
pub(crate) fn throughput(slo: &Slo, limits: Limits, evidence: &Evidence) -> Finding {
    let counts = evidence.counts(slo);
    let nanos = evidence.layout.judged_time(slo.window, evidence.until);
    let draft = Draft::new(slo, limits.bound(text::rate_exact), counts.requests());
    if nanos == 0 {
        return draft.unknown((Reason::NoData, "no judged time was measured".to_owned()));
    }
    if let Some(why) = evidence.too_few(slo, counts.requests()) {
        return draft.unknown(why);
    }
    let side = |rate: Ratio| limits.hold(rate, text::kept_rate);
    let unit = text::rate_unit(limits.at_least.into_iter().chain(limits.at_most));
    let holds = side(Ratio(u128::from(counts.complete) * 1_000_000_000, nanos.into()));
    let value = text::rate_beside(counts.complete, nanos, unit, side);
    let words = format!(
        "{value}, {} ({} in {})",
        limits.words(text::rate_exact),
        text::counted(counts.complete, "complete request"),
        text::spaced(&text::duration(nanos)),
    );
    draft.decided(holds, value, &words)
}
