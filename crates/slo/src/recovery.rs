//! Judges `errorRate.within`: the time from the window's start until the rate over the rest of it is at most the bound.
//!
//! Counts are exact; the time is in steps of the per-second series, which long runs fold.

use plimsoll_measure::ErrorClass;

use crate::rates::failures;
use crate::scope::{Draft, Evidence, Finding};
use crate::text;
use crate::{Reason, Slo, Tally};

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Judges the recovery within `within` nanoseconds to at most `at_most` parts per billion.
pub(crate) fn within(
    slo: &Slo,
    (at_most, within): (u64, u64),
    classes: &[ErrorClass],
    evidence: &Evidence,
) -> Finding {
    let tally = evidence.tally(slo);
    let (rate, time) = (text::share_exact(at_most), text::duration_exact(within));
    let share = (tally.total > 0).then(|| text::exact_share(tally.bad, tally.total));
    let draft = Draft::new(slo, format!("≤ {rate} within {time}"), tally.total).counted(tally, share);
    if let Some(why) = evidence.too_few(slo, tally.total) {
        return draft.unknown(why);
    }
    if !is_covered(slo, tally, evidence) {
        return draft.unknown((
            Reason::NoData,
            "the series per second is incomplete, since a worker was lost".to_owned(),
        ));
    }
    let start = evidence.layout.judged_spans(slo.window).first().map_or(0, |(start, _)| *start);
    let counted = format!(
        "{}, {} {} in all",
        text::counted(tally.total, "request"),
        text::count(tally.bad),
        failures(classes)
    );
    let time = text::spaced(&time);
    match recovered(slo, at_most, start, evidence) {
        None if evidence.until < start.saturating_add(within) => draft.unknown((
            Reason::NoData,
            format!("not yet at most {rate}, and the run ended before the {time} it has"),
        )),
        None => draft.decided(
            false,
            "never".to_owned(),
            &format!("never at most {rate}, allowed within {time} ({counted})"),
        ),
        Some(took) => {
            let value = text::duration_beside(took, within);
            let words =
                format!("at most {rate} after {}, allowed within {time} ({counted})", text::spaced(&value));
            draft.decided(took <= within, value, &words)
        }
    }
}

/// Whether the series holds every request that the SLO's counters hold.
fn is_covered(slo: &Slo, tally: Tally, evidence: &Evidence) -> bool {
    let counts = evidence.merged.series.iter().filter_map(|second| second.objectives.get(slo.objective?));
    counts.fold(0u64, |sum, count| sum.saturating_add(count.total)) >= tally.total
}

/// Nanoseconds from `start` to the first second from which on the rate is at most `at_most`; none if there is no such second.
fn recovered(slo: &Slo, at_most: u64, start: u64, evidence: &Evidence) -> Option<u64> {
    let objective = slo.objective?;
    let mut rest = Tally::default();
    let mut earliest = None;
    for second in evidence.merged.series.iter().rev() {
        let Some(count) = second.objectives.get(objective).filter(|count| count.total > 0) else { continue };
        rest.total = rest.total.saturating_add(count.total);
        rest.bad = rest.bad.saturating_add(count.bad);
        if u128::from(rest.bad) * 1_000_000_000 <= u128::from(at_most) * u128::from(rest.total) {
            earliest = Some((u64::from(second.second) * SECOND).saturating_sub(start));
        }
    }
    earliest
}
