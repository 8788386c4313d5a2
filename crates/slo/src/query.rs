//! Judges `prometheus`: the number that a query gave, which the caller brings in [`crate::Facts::queries`].

use crate::scope::{Draft, Evidence, Finding};
use crate::{Query, Reason, Slo};

/// Judges a query's result against its bounds.
pub(crate) fn query(
    slo: &Slo,
    bounds: (Option<f64>, Option<f64>),
    unit: Option<&str>,
    evidence: &Evidence,
) -> Finding {
    let (at_most, at_least) = bounds;
    let show = |number: f64| unit.map_or_else(|| number.to_string(), |unit| format!("{number} {unit}"));
    let each = |most: &str, least: &str| {
        let at_least = at_least.map(|bound| format!("{least} {}", show(bound)));
        let at_most = at_most.map(|bound| format!("{most} {}", show(bound)));
        [at_least, at_most].into_iter().flatten().collect::<Vec<_>>().join(", ")
    };
    let draft = |samples| Draft::new(slo, each("≤", "≥"), samples);
    let found = evidence.facts.queries.iter().find(|(name, _)| *name == slo.name);
    let value = match found {
        Some((_, Query::Value(value))) if !value.is_nan() => *value,
        Some((_, Query::Value(_))) => {
            return draft(0).unknown((Reason::NoData, "the query gave NaN".to_owned()));
        }
        Some((_, Query::Missing(why))) => {
            return draft(0).unknown((Reason::NoData, format!("no result: {why}")));
        }
        Some((_, Query::NoData { met, why })) => {
            let result = if *met { "Met" } else { "Missed" };
            return draft(0)
                .decided_without_value(*met, &format!("{why}, which onNoData counts as {result}"));
        }
        Some((_, Query::Counts(_))) => {
            return draft(0).unknown((Reason::NoData, "the query gave counters, not a number".to_owned()));
        }
        None => return draft(0).unknown((Reason::NoData, "its query was not made".to_owned())),
    };
    let holds = at_most.is_none_or(|bound| value <= bound) && at_least.is_none_or(|bound| value >= bound);
    let shown = beside(value, holds, |value| {
        at_most.is_none_or(|bound| value <= bound) && at_least.is_none_or(|bound| value >= bound)
    });
    let shown = unit.map_or_else(|| shown.clone(), |unit| format!("{shown} {unit}"));
    let words = format!("{shown}, {}", each("allowed", "wanted at least"));
    draft(1).decided(holds, shown, &words)
}

/// The number with three decimals, a small one with three digits; all of them if it would seem to lie on the other side of a bound.
fn beside(value: f64, holds: bool, side: impl Fn(f64) -> bool) -> String {
    let small = value != 0.0 && value.abs() < 0.1;
    let scale = if small { 10_f64.powf(2.0 - value.abs().log10().floor()) } else { 1000.0 };
    let rounded = (value * scale).round() / scale;
    if rounded.is_finite() && side(rounded) == holds { rounded.to_string() } else { value.to_string() }
}
