//! A load curve: linear stretches over time, their area and its inverse, all exact in integers. `users.rs` reads it as users,
//! `arrivals.rs` as a rate.

use plimsoll_measure::RATE_SECONDS;

use crate::{Load, LoadGroup, Ramp};

/// One arrival, in the units of [`Curve::area`]: a rate counts arrivals per [`RATE_SECONDS`], areas are in nanoseconds, and they are
/// doubled, so that the area under a ramp is an integer.
pub(crate) const ARRIVAL: u128 = 2_000_000_000 * RATE_SECONDS as u128;

/// Larger values and times are cut, so that no product overflows: 10⁹ arrivals a second, three years.
pub(crate) const MOST: u64 = 1_000_000_000 * RATE_SECONDS;
pub(crate) const LONGEST: u64 = 100_000_000_000_000_000;

/// A curve from 0 to [`Curve::end`].
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// Without gaps, none of length 0.
    pub(crate) pieces: Vec<Piece>,
    /// Nanoseconds.
    pub(crate) end: u64,
    /// Twice the whole area, rounded up.
    pub(crate) area: u128,
}

/// A stretch of a curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// Where it begins.
    pub(crate) start: u64,
    /// How much of it counts: all, unless the curve is cut.
    pub(crate) length: u64,
    /// Over this time it goes …
    pub(crate) duration: u64,
    /// … from this value …
    pub(crate) from: u64,
    /// … to this one.
    pub(crate) to: u64,
    /// Twice the area before it.
    pub(crate) before: u128,
}

impl LoadGroup {
    /// The load over time, from the group's start on.
    pub(crate) fn curve(&self) -> Curve {
        match &self.load {
            Load::Closed { users } => Curve::new(users, self.duration),
            Load::Open { rate, .. } => Curve::new(rate, self.duration),
        }
    }
}

impl Curve {
    /// The curve of these ramps, cut at `end`, or holding its last value until then.
    pub(crate) fn new(ramps: &[Ramp], end: u64) -> Self {
        let end = end.min(LONGEST);
        let last = ramps.last().map_or(0, |ramp| ramp.to);
        let hold = Ramp { duration: end, from: last, to: last };
        let mut curve = Self { pieces: Vec::with_capacity(ramps.len() + 1), end, area: 0 };
        let mut start = 0;
        for ramp in ramps.iter().chain([&hold]) {
            let duration = ramp.duration.min(LONGEST);
            let length = duration.min(end - start);
            if length == 0 {
                continue;
            }
            let (from, to) = (ramp.from.min(MOST), ramp.to.min(MOST));
            let piece = Piece { start, length, duration, from, to, before: curve.area };
            curve.area += piece.area(length);
            curve.pieces.push(piece);
            start += length;
        }
        curve
    }

    /// The stretch that holds a moment.
    fn piece(&self, at: u64) -> Option<&Piece> {
        let next = self.pieces.partition_point(|piece| piece.start <= at);
        self.pieces.get(next.checked_sub(1)?).filter(|_| at < self.end)
    }

    /// The value at a moment as a fraction `(numerator, denominator)`; 0 from the end on.
    pub(crate) fn value(&self, at: u64) -> (u128, u128) {
        self.piece(at).map_or((0, 1), |piece| {
            let (tau, duration) = (u128::from(at - piece.start), u128::from(piece.duration));
            let slope = u128::from(piece.from.abs_diff(piece.to)) * tau;
            let base = u128::from(piece.from) * duration;
            (if piece.from <= piece.to { base + slope } else { base - slope }, duration)
        })
    }

    /// Twice the area up to a moment, rounded up.
    pub(crate) fn area_until(&self, at: u64) -> u128 {
        self.piece(at).map_or(self.area, |piece| piece.before + piece.area(at - piece.start))
    }

    /// The highest value that the curve comes near to.
    pub(crate) fn peak(&self) -> u64 {
        self.pieces.iter().map(Piece::peak).max().unwrap_or(0)
    }
}

impl Piece {
    /// Twice the area of its first `tau` nanoseconds, rounded up: `2·from·tau + (to − from)·tau² ÷ duration`.
    pub(crate) fn area(&self, tau: u64) -> u128 {
        let (tau, duration) = (u128::from(tau), u128::from(self.duration));
        let product = u128::from(self.from.abs_diff(self.to)) * tau;
        let (whole, rest) = (product / duration, product % duration);
        let base = 2 * u128::from(self.from) * tau;
        if self.from <= self.to {
            base + whole * tau + (rest * tau).div_ceil(duration)
        } else {
            base - whole * tau - rest * tau / duration
        }
    }

    /// The moment within it at which twice its area comes to `area`, rounded down; `area` is less than that of the whole piece.
    ///
    /// A guess in floating point is corrected in integers, so the result is exact and the same on every machine.
    pub(crate) fn invert(&self, area: u128) -> u64 {
        let slope = self.to as f64 - self.from as f64;
        let from = self.from as f64;
        let discriminant = from * from + slope * (area as f64 / self.duration as f64);
        let guess = area as f64 / (from + discriminant.max(0.0).sqrt());
        let limit = self.length.saturating_sub(1);
        let guess = (guess as u64).min(limit);
        // Invariant of both searches: `low` fits (or is 0), `high` does not (or is past the limit).
        let (mut low, mut high) = (guess, guess);
        let mut stride = 1;
        if self.fits(guess, area) {
            loop {
                high = low.saturating_add(stride).min(limit + 1);
                if high > limit || !self.fits(high, area) {
                    break;
                }
                (low, stride) = (high, stride * 2);
            }
        } else {
            loop {
                low = high.saturating_sub(stride);
                if low == 0 || self.fits(low, area) {
                    break;
                }
                (high, stride) = (low, stride * 2);
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.fits(middle, area) { low = middle } else { high = middle }
        }
        low
    }

    /// Whether twice the area of the first `tau` nanoseconds is at most `area`: both sides times the duration.
    fn fits(&self, tau: u64, area: u128) -> bool {
        let base = 2 * u128::from(self.from) * u128::from(self.duration);
        let slope = u128::from(self.from.abs_diff(self.to)) * u128::from(tau);
        let factor = if self.from <= self.to { base + slope } else { base - slope };
        product(factor, tau) <= product(area, self.duration)
    }

    pub(crate) fn is_flat(&self) -> bool {
        self.from == self.to
    }

    /// The highest value that it comes near to.
    fn peak(&self) -> u64 {
        if self.from >= self.to || self.length == self.duration {
            return self.from.max(self.to);
        }
        let rise = u128::from(self.to - self.from) * u128::from(self.length);
        self.from + u64::try_from(rise.div_ceil(u128::from(self.duration))).unwrap_or(u64::MAX)
    }
}

/// A product that may not fit 128 bits, as (all bits over the lowest 64, the lowest 64).
fn product(a: u128, b: u64) -> (u128, u64) {
    let low = u128::from(a as u64) * u128::from(b);
    ((a >> 64) * u128::from(b) + (low >> 64), low as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ramp(duration: u64, from: u64, to: u64) -> Ramp {
        Ramp { duration, from, to }
    }

    #[test]
    fn a_short_curve_holds_its_last_value_and_a_long_one_is_cut() {
        let curve = Curve::new(&[ramp(10, 0, 4)], 20);
        assert_eq!((curve.value(5), curve.value(15), curve.value(20)), ((20, 10), (80, 20), (0, 1)));
        assert_eq!((curve.area, curve.peak()), (2 * (20 + 40), 4));
        let cut = Curve::new(&[ramp(10, 0, 4)], 5);
        assert_eq!((cut.area, cut.peak(), cut.pieces.len()), (10, 2, 1));
    }

    #[test]
    fn a_jump_takes_no_time() {
        let curve = Curve::new(&[ramp(10, 1, 1), ramp(0, 1, 9), ramp(10, 5, 5)], 20);
        assert_eq!((curve.pieces.len(), curve.peak()), (2, 5));
        let held = Curve::new(&[ramp(10, 1, 1), ramp(0, 1, 9)], 20);
        assert_eq!(held.value(10), (180, 20));
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        let curve = Curve::new(&[ramp(u64::MAX, u64::MAX, 0), ramp(u64::MAX, 0, u64::MAX)], u64::MAX);
        assert_eq!((curve.pieces.len(), curve.peak(), curve.end), (1, MOST, LONGEST));
        curve.pieces[0].invert(curve.area - 1);
        assert_eq!(Curve::new(&[], 10).area, 0);
    }

    proptest! {
        #[test]
        fn the_inverse_is_the_last_moment_that_fits(
            duration in 1_u64..100_000_000_000_000, from in 0_u64..1_000_000_000, to in 0_u64..1_000_000_000, part in 0.0..1.0
        ) {
            prop_assume!(from != to);
            let piece = Curve::new(&[ramp(duration, from, to)], duration).pieces[0];
            let area = (piece.area(duration) as f64 * part) as u128;
            prop_assume!(area < piece.area(duration));
            let tau = piece.invert(area);
            prop_assert!(tau < duration && piece.fits(tau, area));
            prop_assert!(tau + 1 >= duration || !piece.fits(tau + 1, area));
            prop_assert!(piece.area(tau) <= area);
        }
    }
}
