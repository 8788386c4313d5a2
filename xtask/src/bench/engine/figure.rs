//! One line of the benchmark's result: a figure with its interval beside its goal. `print.rs` shows it, `rows.rs` and the files beside
//! it make it.

use serde_json::{Value, json};

use super::interval::Interval;

/// A figure of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// The row, as `--rows` calls it.
    pub(super) row: &'static str,
    /// What it is.
    pub(super) what: String,
    /// With its unit, if it has one.
    pub(super) unit: &'static str,
    /// Nothing if it could not be measured; `note` says why.
    pub(super) value: Option<Interval>,
    /// The most it should be.
    pub(super) goal: Option<f64>,
    /// What else must be known to read it.
    pub(super) note: String,
}

impl Figure {
    /// Whether its goal is held, in a word.
    pub(super) fn judgement(&self) -> &'static str {
        match (&self.value, self.goal) {
            (_, None) => "",
            (None, Some(_)) => "not measured",
            (Some(value), Some(goal)) if value.high <= goal => "met",
            (Some(value), Some(goal)) if value.median <= goal => "met, within the noise",
            (Some(value), Some(goal)) if value.low <= goal => "MISSED, within the noise",
            _ => "MISSED",
        }
    }

    /// As a line of the file of results.
    pub(super) fn json(&self) -> Value {
        let value = self.value.as_ref();
        json!({
            "figure": self.what, "row": self.row, "unit": self.unit,
            "median": value.map(|value| value.median), "low": value.map(|value| value.low),
            "high": value.map(|value| value.high), "n": value.map(|value| value.n),
            "confidence": value.map(|value| value.confidence),
            "goal": self.goal, "judgement": self.judgement(), "note": self.note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_median_and_the_interval_says_how_surely() {
        let judged = |low, median, high, goal| {
            let value = Some(Interval { median, low, high, n: 9, confidence: 0.96 });
            let (what, note) = (String::new(), String::new());
            Figure { row: "static", what, unit: "µs", value, goal, note }.judgement()
        };
        assert_eq!(judged(0.7, 0.8, 0.9, Some(1.0)), "met");
        assert_eq!(judged(0.7, 0.8, 1.1, Some(1.0)), "met, within the noise");
        assert_eq!(judged(0.9, 1.1, 1.2, Some(1.0)), "MISSED, within the noise");
        assert_eq!(judged(1.1, 1.2, 1.3, Some(1.0)), "MISSED");
        assert_eq!(judged(1.1, 1.2, 1.3, None), "");
    }
}
