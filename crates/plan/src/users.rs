//! The closed model: when each virtual user is active. User `u` is active while the curve is over `u`, so that at any moment
//! ⌈curve⌉ users are.

use plimsoll_scenario::Sequence;

use crate::curve::{Curve, Piece};
use crate::{Load, Plan, Share};

/// When one user is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLife {
    /// Its number among all users of the run, from 0.
    pub number: u64,
    /// Index of its scenario in the plan.
    pub scenario: usize,
    /// In order, not touching; never empty.
    pub intervals: Vec<Interval>,
}

/// A stretch of activity, `[start, stop)` in nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The user begins its first iteration.
    pub start: u64,
    /// It begins no more. At the plan's `duration` the end of the run stops it, with `graceful_stop`; earlier a ramp retires it,
    /// with `graceful_ramp_down`.
    pub stop: u64,
}

impl Plan {
    /// Users asked for at a moment: ⌈curve⌉; 0 from the end on, and in the open model.
    #[must_use]
    pub fn users_at(&self, at: u64) -> u64 {
        match self.load {
            Load::Closed { .. } => {
                let (value, of) = self.curve().value(at);
                u64::try_from(value.div_ceil(of)).unwrap_or(u64::MAX)
            }
            Load::Open { .. } => 0,
        }
    }

    /// Most users asked for at any moment; 0 in the open model.
    #[must_use]
    pub fn peak_users(&self) -> u64 {
        match self.load {
            Load::Closed { .. } => self.curve().peak(),
            Load::Open { .. } => 0,
        }
    }
}

impl Share {
    /// This share's users, by number; none in the open model.
    pub fn users(&self) -> impl Iterator<Item = UserLife> + use<> {
        let curve = self.plan.curve();
        let peak = self.plan.peak_users();
        let sequence = Sequence::new(&self.plan.weights());
        let step = usize::try_from(self.stride.step.max(1)).unwrap_or(usize::MAX);
        (self.stride.offset..peak).step_by(step).filter_map(move |number| {
            let intervals = intervals(&curve, number);
            (!intervals.is_empty()).then(|| UserLife { number, scenario: sequence.of(number), intervals })
        })
    }
}

impl Plan {
    pub(crate) fn weights(&self) -> Vec<u32> {
        self.scenarios.iter().map(|scenario| scenario.weight).collect()
    }
}

/// When the curve is over `user`.
fn intervals(curve: &Curve, user: u64) -> Vec<Interval> {
    let mut found: Vec<Interval> = Vec::new();
    for (start, stop) in curve.pieces.iter().filter_map(|piece| over(piece, user)) {
        match found.last_mut() {
            Some(last) if last.stop >= start => last.stop = stop,
            _ => found.push(Interval { start, stop }),
        }
    }
    found
}

/// When a linear stretch is over `user`: rising, from the first nanosecond after it meets `user`; falling, until it meets it.
fn over(piece: &Piece, user: u64) -> Option<(u64, u64)> {
    let meets = |distance: u64| u128::from(distance) * u128::from(piece.duration);
    let slope = u128::from(piece.from.abs_diff(piece.to));
    let clip = |tau: u128| u64::try_from(tau).unwrap_or(u64::MAX).min(piece.length);
    let (first, end) = match (piece.from > user, piece.to > user) {
        (true, true) => (0, piece.length),
        (false, false) => return None,
        (false, true) => (clip(meets(user - piece.from) / slope + 1), piece.length),
        (true, false) => (0, clip(meets(piece.from - user).div_ceil(slope))),
    };
    (first < end).then(|| (piece.start + first, piece.start + end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::fixtures::{closed, ramp, ramps, whole};

    #[test]
    fn a_rising_curve_starts_users_one_by_one_and_a_falling_one_retires_the_last_first() {
        let plan = closed(vec![ramp(100, 0, 4), ramp(100, 4, 4), ramp(100, 4, 0)], 300);
        let lives: Vec<_> =
            whole(&plan).users().map(|u| (u.number, u.intervals[0].start, u.intervals[0].stop)).collect();
        assert_eq!(lives, [(0, 1, 300), (1, 26, 275), (2, 51, 250), (3, 76, 225)]);
    }

    #[test]
    fn a_user_can_come_back() {
        let plan = closed(vec![ramp(10, 2, 2), ramp(10, 1, 1), ramp(10, 2, 2)], 30);
        let second = whole(&plan).users().nth(1).unwrap();
        let spans: Vec<_> = second.intervals.iter().map(|i| (i.start, i.stop)).collect();
        assert_eq!(spans, [(0, 10), (20, 30)]);
    }

    proptest! {
        #[test]
        fn as_many_are_active_as_the_curve_asks(load in ramps(40), end in 1_u64..2000, at in 0_u64..2000) {
            let plan = closed(load, end);
            let active = whole(&plan)
                .users()
                .filter(|u| u.intervals.iter().any(|i| (i.start..i.stop).contains(&at)))
                .count() as u64;
            prop_assert_eq!(active, plan.users_at(at));
            prop_assert!(active <= plan.peak_users());
        }

        #[test]
        fn intervals_are_apart_and_end_with_the_run(load in ramps(40), end in 1_u64..2000) {
            for user in whole(&closed(load, end)).users() {
                prop_assert!(user.intervals.windows(2).all(|w| w[0].stop < w[1].start));
                prop_assert!(user.intervals.iter().all(|i| i.start < i.stop && i.stop <= end));
            }
        }
    }
}
