//! Deals users and arrivals out to scenarios: smooth weighted round robin over the whole run, so that 5 : 2 splits exactly.

use crate::rng::mix;

/// Longer periods are scaled down to about this many members.
const LONGEST: u64 = 1 << 16;

/// A repeating order of scenarios. In every block of one period each scenario occurs exactly as often as its weight says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    order: Box<[u16]>,
}

impl Sequence {
    /// The order for these weights: always the member that lags most behind its weight, the first of equals.
    ///
    /// Weights are reduced by their common divisor first. If the period is still over 65 536, they are scaled down to it, no
    /// weight below 1, so the split is then exact to about 1 in 65 536. Without any weight, everything goes to the first.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let weights = reduced(weights);
        let total: i64 = weights.iter().sum();
        let mut lag = vec![0_i64; weights.len()];
        let mut order = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
        for _ in 0..total {
            let mut most = 0;
            for (i, weight) in weights.iter().enumerate() {
                lag[i] += weight;
                if lag[i] > lag[most] {
                    most = i;
                }
            }
            lag[most] -= total;
            order.push(u16::try_from(most).unwrap_or(u16::MAX));
        }
        if order.is_empty() {
            order.push(0);
        }
        Self { order: order.into() }
    }

    /// Index of the scenario of member `n` (user or arrival, numbered over the run).
    ///
    /// Every period after the first begins at another, fixed but scattered place, so that a worker that takes every second
    /// member does not get all of one scenario.
    #[inline]
    #[must_use]
    pub fn of(&self, n: u64) -> usize {
        let period = self.order.len() as u64;
        if period == 1 {
            return usize::from(self.order[0]);
        }
        let (block, place) = (n / period, n % period);
        let shift = if block == 0 { 0 } else { mix(block) % period };
        usize::from(self.order[((place + shift) % period) as usize])
    }

    /// Members of one period; over each aligned period the split is exact.
    #[must_use]
    pub fn period(&self) -> u64 {
        self.order.len() as u64
    }
}

fn reduced(weights: &[u32]) -> Vec<i64> {
    let divisor = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
    let weights: Vec<u64> = weights.iter().map(|w| u64::from(w / divisor)).collect();
    let total: u64 = weights.iter().sum();
    let scale = |w: u64| {
        if total <= LONGEST || w == 0 { w } else { ((w * LONGEST + total / 2) / total).max(1) }
    };
    weights.into_iter().map(|w| i64::try_from(scale(w)).unwrap_or(1)).collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn five_to_two_alternates_smoothly() {
        let sequence = Sequence::new(&[5, 2]);
        let first: Vec<usize> = (0..7).map(|n| sequence.of(n)).collect();
        assert_eq!(first, [0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn a_worker_of_two_gets_some_of_each() {
        let sequence = Sequence::new(&[1, 1]);
        let even = (0..1000).filter(|n| sequence.of(2 * n) == 0).count();
        assert!((400..600).contains(&even), "{even}");
    }

    #[test]
    fn odd_weights_do_no_harm() {
        assert_eq!(Sequence::new(&[]).of(9), 0);
        assert_eq!(Sequence::new(&[0, 0]).of(9), 0);
        assert_eq!(Sequence::new(&[0, 3]).period(), 1);
        assert_eq!(Sequence::new(&[0, 3]).of(4), 1);
        let wide = Sequence::new(&[u32::MAX, 1, u32::MAX - 1]);
        assert!(wide.period() < 70_000);
        assert!((0..wide.period()).any(|n| wide.of(n) == 1));
    }

    proptest! {
        #[test]
        fn every_period_splits_exactly(weights in prop::collection::vec(0_u32..50, 1..6), block in 0_u64..1000) {
            prop_assume!(weights.iter().any(|w| *w > 0));
            let sequence = Sequence::new(&weights);
            let divisor = weights.iter().fold(0, |a, b| gcd(a, *b));
            let start = block * sequence.period();
            for (i, weight) in weights.iter().enumerate() {
                let got = (start..start + sequence.period()).filter(|n| sequence.of(*n) == i).count();
                prop_assert_eq!(got, (weight / divisor) as usize);
            }
        }

        #[test]
        fn the_first_period_never_strays_by_more_than_one(a in 1_u32..40, b in 1_u32..40) {
            let sequence = Sequence::new(&[a, b]);
            let mut got = 0.0;
            for n in 0..sequence.period() {
                got += f64::from(u8::from(sequence.of(n) == 0));
                let ideal = (n + 1) as f64 * f64::from(a) / f64::from(a + b);
                prop_assert!((got - ideal).abs() <= 1.0);
            }
        }
    }
}
