//! The open model: when arrivals are due. Arrival `k` of a uniform load is due when the area under the rate comes to `k`; a
//! Poisson load has exponential gaps in that area, so that both follow any curve without drift.

use plimsoll_scenario::{Rng, Sequence, Stream};

use crate::curve::{ARRIVAL, Curve, Piece};
use crate::{Distribution, GroupShare, Load, LoadGroup};

/// Something to be begun at a time, whatever the target does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it is due, in nanoseconds since the start of the run; rounded down.
    pub at: u64,
    /// Its number among all members of the run.
    pub number: u64,
    /// Index of its scenario in the plan's script.
    pub scenario: usize,
}

impl LoadGroup {
    /// Arrivals per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS) asked for at a moment of the run; 0 before its start, from its end
    /// on, and in the closed model.
    #[must_use]
    pub fn rate_at(&self, at: u64) -> u64 {
        match (&self.load, at.checked_sub(self.start)) {
            (Load::Open { .. }, Some(at)) => {
                let (value, of) = self.curve().value(at);
                u64::try_from(value / of).unwrap_or(u64::MAX)
            }
            _ => 0,
        }
    }

    /// Arrivals due before a moment of the run, over all workers: exact for a uniform load, the mean of a Poisson one; 0 in the closed
    /// model.
    #[must_use]
    pub fn arrivals_before(&self, at: u64) -> u64 {
        match (&self.load, at.checked_sub(self.start)) {
            (Load::Open { .. }, Some(at)) => count(self.curve().area_until(at)),
            _ => 0,
        }
    }
}

/// Arrivals within an area: those whose own place in it is less.
fn count(area: u128) -> u64 {
    u64::try_from(area.div_ceil(ARRIVAL)).unwrap_or(u64::MAX)
}

impl GroupShare {
    /// This part's arrivals, in order of time; none in the closed model.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        let (group, stride) = (self.group(), self.stride);
        let step = stride.step.max(1);
        let gap = u128::from(step) * ARRIVAL;
        let (curve, gaps) = match group.load {
            Load::Closed { .. } => (Curve::new(&[], 0), Gaps::Equal { gap, steps: 0, rest: 0 }),
            Load::Open { distribution: Distribution::Uniform, .. } => {
                (group.curve(), Gaps::Equal { gap, steps: 0, rest: 0 })
            }
            Load::Open { distribution: Distribution::Poisson, .. } => {
                let lane = ((self.index as u64) << 56) ^ (step << 32) ^ (stride.offset & 0xffff_ffff);
                let rng = Rng::new(self.plan.seed, Stream::Gaps, lane);
                (group.curve(), Gaps::Exponential { mean: gap as f64, rng })
            }
        };
        Arrivals {
            sequence: self.plan.sequence(group),
            scenarios: group.scenarios.clone(),
            start: group.start,
            first: self.first,
            curve,
            gaps,
            number: stride.offset,
            step,
            area: 0,
            piece: 0,
            flat: None,
            begun: false,
        }
    }
}

/// The arrivals of one part of a load, computed as they are asked for.
#[derive(Clone, Debug)]
pub struct Arrivals {
    sequence: Sequence,
    /// What the sequence gives places in.
    scenarios: Vec<usize>,
    /// When the load starts.
    start: u64,
    /// Number of its first member.
    first: u64,
    curve: Curve,
    gaps: Gaps,
    /// Of the next arrival, from the first one of the load.
    number: u64,
    step: u64,
    /// Where the last arrival lies in the area under the curve.
    area: u128,
    /// The stretch that holds it.
    piece: usize,
    /// Set while that stretch has a constant rate.
    flat: Option<Flat>,
    begun: bool,
}

/// How far apart arrivals lie in the area under the curve.
#[derive(Clone, Debug)]
enum Gaps {
    /// `gap`, which is `steps` nanoseconds and `rest` of the current stretch's `Flat::unit`.
    Equal {
        gap: u128,
        steps: u64,
        rest: u64,
    },
    Exponential {
        mean: f64,
        rng: Rng,
    },
}

/// The last arrival within a stretch of constant rate.
#[derive(Clone, Copy, Debug)]
struct Flat {
    /// Area of one nanosecond.
    unit: u64,
    /// Whole nanoseconds since the start of the run.
    at: u64,
    /// Area beyond them, less than `unit`.
    rest: u64,
    /// Area under the curve where the stretch ends.
    end: u128,
}

impl Iterator for Arrivals {
    type Item = Arrival;

    #[inline]
    fn next(&mut self) -> Option<Arrival> {
        let at = self.advance()?;
        let number = self.number;
        self.number += self.step;
        let scenario = self.scenarios.get(self.sequence.of(number)).copied().unwrap_or_default();
        Some(Arrival { at: self.start + at, number: self.first + number, scenario })
    }
}

impl Arrivals {
    /// When the next arrival is due, from the start of the load. Within a constant rate equal gaps cost two additions, exponential ones a division.
    #[inline]
    fn advance(&mut self) -> Option<u64> {
        let gap = match &mut self.gaps {
            Gaps::Equal { gap, .. } if self.begun => *gap,
            Gaps::Equal { .. } => u128::from(self.number) * ARRIVAL,
            Gaps::Exponential { mean, rng } => (rng.exponential() * *mean) as u128,
        };
        self.begun = true;
        self.area += gap;
        let Some(flat) = self.flat.as_mut().filter(|flat| self.area < flat.end) else { return self.enter() };
        match self.gaps {
            Gaps::Equal { steps, rest, .. } => {
                flat.at += steps;
                // Both rests are under one unit, and the largest rate keeps two of those well under 2⁶⁴.
                flat.rest += rest;
                if flat.rest >= flat.unit {
                    flat.rest -= flat.unit;
                    flat.at += 1;
                }
            }
            Gaps::Exponential { .. } => flat.place(u128::from(flat.rest) + gap),
        }
        Some(flat.at)
    }

    /// Finds the stretch that holds the next arrival, and its place there.
    fn enter(&mut self) -> Option<u64> {
        self.flat = None;
        let end_of = |i: usize| self.curve.pieces.get(i + 1).map_or(self.curve.area, |next| next.before);
        while self.area >= end_of(self.piece) {
            if self.piece >= self.curve.pieces.len() {
                return None;
            }
            self.piece += 1;
        }
        let piece = *self.curve.pieces.get(self.piece)?;
        let end = end_of(self.piece);
        if piece.is_flat() {
            Some(self.enter_flat(&piece, end))
        } else {
            Some(piece.start + piece.invert(self.area - piece.before))
        }
    }

    fn enter_flat(&mut self, piece: &Piece, end: u128) -> u64 {
        let unit = 2 * piece.from;
        let mut flat = Flat { unit, at: piece.start, rest: 0, end };
        flat.place(self.area - piece.before);
        self.flat = Some(flat);
        if let Gaps::Equal { gap, steps, rest } = &mut self.gaps {
            // A gap too long for 64 bits ends outside every stretch, so its steps are never taken.
            *steps = u64::try_from(*gap / u128::from(unit)).unwrap_or(u64::MAX);
            *rest = (*gap % u128::from(unit)) as u64;
        }
        flat.at
    }
}

impl Flat {
    /// Moves on by an area.
    #[inline]
    fn place(&mut self, area: u128) {
        match u64::try_from(area) {
            Ok(area) => {
                self.at += area / self.unit;
                self.rest = area % self.unit;
            }
            Err(_) => {
                let unit = u128::from(self.unit);
                self.at += (area / unit) as u64;
                self.rest = (area % unit) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Plan;
    use crate::fixtures::{PER_SECOND, SECOND, arrivals, both, open, ramp, ramps, whole};

    fn times(plan: &Plan) -> Vec<u64> {
        arrivals(plan).iter().map(|a| a.at).collect()
    }

    #[test]
    fn a_constant_rate_sends_exactly_rate_times_duration() {
        let plan = open(
            vec![ramp(10 * SECOND, 2000 * PER_SECOND, 2000 * PER_SECOND)],
            10 * SECOND,
            Distribution::Uniform,
        );
        let times = times(&plan);
        assert_eq!((times.len(), plan.total_arrivals()), (20_000, 20_000));
        assert_eq!((times[0], times[1], times[19_999]), (0, 500_000, 9_999_500_000));
        assert_eq!(plan.rate_at(SECOND), 2000 * PER_SECOND);
    }

    #[test]
    fn a_rate_per_minute_is_exact_too() {
        let hour = 3600 * SECOND;
        let rate = 100 * PER_SECOND / 60;
        let plan = open(vec![ramp(hour, rate, rate)], hour, Distribution::Uniform);
        let times = times(&plan);
        assert_eq!((times.len(), plan.total_arrivals()), (6000, 6000));
        assert_eq!((times[1], times[5999]), (600_000_000, 3_599_400_000_000));
    }

    #[test]
    fn a_third_of_a_nanosecond_does_not_drift() {
        let plan =
            open(vec![ramp(SECOND, 3 * PER_SECOND, 3 * PER_SECOND)], 1000 * SECOND, Distribution::Uniform);
        let times = times(&plan);
        assert_eq!(times.len(), 3000);
        assert!(times.iter().enumerate().all(|(k, at)| *at == k as u64 * SECOND / 3));
    }

    #[test]
    fn nothing_is_due_while_the_rate_is_zero() {
        let stages =
            vec![ramp(10 * SECOND, 0, 0), ramp(10 * SECOND, PER_SECOND, PER_SECOND), ramp(5 * SECOND, 0, 0)];
        let plan = open(stages, 25 * SECOND, Distribution::Uniform);
        assert_eq!(times(&plan), (10..20).map(|s| s * SECOND).collect::<Vec<_>>());
    }

    #[test]
    fn a_ramp_follows_the_square_root() {
        // From 0 to 200/s in 10 s: 1000 arrivals, the k-th at 10 s · √(k / 1000).
        let plan = open(vec![ramp(10 * SECOND, 0, 200 * PER_SECOND)], 10 * SECOND, Distribution::Uniform);
        let times = times(&plan);
        assert_eq!(times.len(), 1000);
        for (k, at) in times.iter().enumerate() {
            let ideal = 1e10 * (k as f64 / 1000.0).sqrt();
            assert!((*at as f64 - ideal).abs() <= 1.0, "{k}: {at} {ideal}");
        }
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_exponential_ones() {
        let plan = open(
            vec![ramp(100 * SECOND, 1000 * PER_SECOND, 1000 * PER_SECOND)],
            100 * SECOND,
            Distribution::Poisson,
        );
        let times = times(&plan);
        // A Poisson count has the standard deviation √100 000 = 316; five of them.
        assert!(times.len().abs_diff(100_000) < 1600, "{}", times.len());
        let gaps: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]) as f64 / 1e6).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let long = gaps.iter().filter(|g| **g > 3.0).count() as f64 / gaps.len() as f64;
        assert!((long - (-3.0_f64).exp()).abs() < 0.004, "{long}");
    }

    #[test]
    fn poisson_repeats_with_the_seed_only() {
        let mut plan =
            open(vec![ramp(SECOND, 100 * PER_SECOND, 300 * PER_SECOND)], SECOND, Distribution::Poisson);
        let first = times(&plan);
        assert_eq!(first, times(&plan));
        plan.seed += 1;
        assert_ne!(first, times(&plan));
    }

    #[test]
    fn two_poisson_loads_do_not_share_their_gaps() {
        let rate = 100 * PER_SECOND;
        let one = open(vec![ramp(SECOND, rate, rate)], SECOND, Distribution::Poisson);
        let plan = both(&one, &one, SECOND);
        let of = |index: usize| -> Vec<u64> {
            let part = whole(&plan).groups().nth(index).unwrap();
            part.arrivals().map(|a| a.at - part.group().start).collect()
        };
        assert_ne!(of(0), of(1));
        assert_eq!(of(0), times(&one));
    }

    /// Twice the area up to a moment, in floating point and by itself: the definition.
    fn area(load: &[crate::Ramp], end: u64, at: f64) -> f64 {
        let mut start = 0.0;
        let mut sum = 0.0;
        let last = load.last().map_or(0, |r| r.to);
        for r in load.iter().chain([&ramp(end, last, last)]) {
            let tau = (at - start).clamp(0.0, r.duration as f64);
            if r.duration > 0 {
                sum +=
                    2.0 * r.from as f64 * tau + (r.to as f64 - r.from as f64) * tau * tau / r.duration as f64;
            }
            start += r.duration as f64;
        }
        sum
    }

    proptest! {
        #[test]
        fn times_rise_and_are_within_a_nanosecond_of_the_ideal(load in ramps(1_000_000_000), scale in 1_u64..1000) {
            let load: Vec<_> = load.into_iter().map(|r| ramp(r.duration * scale, r.from, r.to)).collect();
            let end = load.iter().map(|r| r.duration).sum::<u64>().max(1);
            let plan = open(load.clone(), end, Distribution::Uniform);
            let mut last = 0;
            let mut seen = 0;
            for arrival in arrivals(&plan) {
                prop_assert!(arrival.at >= last && arrival.at < end);
                last = arrival.at;
                let place = arrival.number as f64 * ARRIVAL as f64;
                // One part in 10¹² for the floating point of the definition.
                let slack = 1e-12 * area(&load, end, end as f64);
                prop_assert!(area(&load, end, arrival.at as f64) <= place + slack);
                prop_assert!(area(&load, end, arrival.at as f64 + 1.0) >= place - slack);
                prop_assert_eq!(plan.arrivals_before(arrival.at + 1) > arrival.number, true);
                seen += 1;
            }
            prop_assert_eq!(seen, plan.total_arrivals());
        }

        #[test]
        fn poisson_times_rise_and_end_with_the_run(load in ramps(1_000_000_000), offset in 0_u64..8) {
            let end = load.iter().map(|r| r.duration).sum::<u64>().max(1);
            let mut share = whole(&open(load, end, Distribution::Poisson));
            share.stride = crate::Stride { offset, step: 8 };
            let part = share.groups().next().unwrap();
            let arrivals: Vec<_> = part.arrivals().take(5000).collect();
            prop_assert!(arrivals.windows(2).all(|w| w[0].at <= w[1].at && w[0].number + 8 == w[1].number));
            prop_assert!(arrivals.iter().all(|a| a.at < end));
        }
    }
}
