//! The median of a few measurements with an interval that no assumption about their distribution is behind: between two of the
//! measurements themselves (order statistics and the binomial distribution of ½). Printed by `print.rs`.

/// A median and what it lies between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Measurements.
    pub(super) n: usize,
    /// The probability that the true median lies between `low` and `high`: at least 0.95 from six measurements on.
    pub(super) confidence: f64,
}

/// What confidence is asked for; fewer than six measurements cannot give it, and their whole range is taken.
const CONFIDENCE: f64 = 0.95;

/// Median and interval of some measurements; nothing of none.
pub(super) fn interval(values: impl IntoIterator<Item = f64>) -> Option<Interval> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let (cut, confidence) = cut(n);
    let middle = n / 2;
    let upper = *values.get(middle)?;
    let median = if n.is_multiple_of(2) { (values[middle - 1] + upper) / 2.0 } else { upper };
    Some(Interval { median, low: values[cut], high: values[n - 1 - cut], n, confidence })
}

/// How many measurements may be left out at each end, and the confidence of the range of those that stay: 1 − 2·P(B < cut + 1) for B
/// binomial of n and ½.
fn cut(n: usize) -> (usize, f64) {
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let (mut cut, mut below) = (0, term);
    let mut confidence = 1.0 - 2.0 * below;
    while 2 * (cut + 1) < n {
        term *= (n - cut) as f64 / (cut + 1) as f64;
        below += term;
        if 1.0 - 2.0 * below < CONFIDENCE {
            break;
        }
        cut += 1;
        confidence = 1.0 - 2.0 * below;
    }
    (cut, confidence.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_measurements_give_the_second_to_the_eighth() {
        let found = interval([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]).unwrap();
        assert_eq!((found.median, found.low, found.high, found.n), (5.0, 2.0, 8.0, 9));
        assert!((found.confidence - (1.0 - 20.0 / 512.0)).abs() < 1e-12, "{}", found.confidence);
    }

    #[test]
    fn few_measurements_give_their_range_and_say_how_little_it_is_worth() {
        let found = interval([2.0, 1.0]).unwrap();
        assert_eq!((found.median, found.low, found.high, found.confidence), (1.5, 1.0, 2.0, 0.5));
        assert_eq!(interval([3.0]).unwrap().confidence, 0.0);
        assert_eq!(interval([f64::NAN]), None);
    }

    #[test]
    fn cuts_are_those_of_the_tables() {
        // Tables of the sign test at 5 %, two-sided: 5 → none, 6 → 0, 8 → 0, 9 → 1, 12 → 2, 15 → 3, 20 → 5.
        let cuts = [5, 6, 8, 9, 12, 15, 20].map(|n| cut(n).0);
        assert_eq!(cuts, [0, 0, 0, 1, 2, 3, 5]);
        assert!(cut(5).1 < CONFIDENCE && cut(6).1 >= CONFIDENCE);
    }
}
