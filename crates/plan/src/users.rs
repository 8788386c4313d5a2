//! The closed model: when each virtual user is active. User `u` of a load is active while its curve is over `u`, so that at any
//! moment ⌈curve⌉ users are.

use crate::curve::{Curve, Piece};
use crate::{GroupShare, Load, LoadGroup};

/// When one user is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLife {
    /// Its number among all members of the run, from 0.
    pub number: u64,
    /// Index of its scenario in the plan's script.
    pub scenario: usize,
    /// In order, not touching; never empty.
    pub intervals: Vec<Interval>,
}

/// A stretch of activity, `[start, stop)` in nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The user begins its first iteration.
    pub start: u64,
    /// It begins no more. At the end of its load ([`LoadGroup::end`]) it is stopped with `graceful_stop`; earlier a ramp retires it,
    /// with `graceful_ramp_down`.
    pub stop: u64,
}

impl LoadGroup {
    /// Users asked for at a moment of the run: ⌈curve⌉; 0 before its start, from its end on, and in the open model.
    #[must_use]
    pub fn users_at(&self, at: u64) -> u64 {
        match (&self.load, at.checked_sub(self.start)) {
            (Load::Closed { .. }, Some(at)) => {
                let (value, of) = self.curve().value(at);
                u64::try_from(value.div_ceil(of)).unwrap_or(u64::MAX)
            }
            _ => 0,
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

impl GroupShare {
    /// This part's users, by number; none in the open model.
    pub fn users(&self) -> impl Iterator<Item = UserLife> + use<> {
        let group = self.group();
        let (curve, peak, start) = (group.curve(), group.peak_users(), group.start);
        let (sequence, scenarios, first) = (self.plan.sequence(group), group.scenarios.clone(), self.first);
        let step = usize::try_from(self.stride.step.max(1)).unwrap_or(usize::MAX);
        (self.stride.offset..peak).step_by(step).filter_map(move |user| {
            let intervals = intervals(&curve, user, start);
            let scenario = scenarios.get(sequence.of(user)).copied().unwrap_or_default();
            (!intervals.is_empty()).then(|| UserLife {
                number: first.saturating_add(user),
                scenario,
                intervals,
            })
        })
    }
}

/// When the curve, which begins at `start`, is over `user`.
fn intervals(curve: &Curve, user: u64, start: u64) -> Vec<Interval> {
    let mut found: Vec<Interval> = Vec::new();
    for (from, to) in curve.pieces.iter().filter_map(|piece| over(piece, user)) {
        let (from, to) = (start.saturating_add(from), start.saturating_add(to));
        match found.last_mut() {
            Some(last) if last.stop >= from => last.stop = to,
            _ => found.push(Interval { start: from, stop: to }),
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

    use crate::fixtures::{closed, groups, ramp, ramps, users};

    #[test]
    fn a_rising_curve_starts_users_one_by_one_and_a_falling_one_retires_the_last_first() {
        let plan = closed(vec![ramp(100, 0, 4), ramp(100, 4, 4), ramp(100, 4, 0)], 300);
        let lives: Vec<_> =
            users(&plan).iter().map(|u| (u.number, u.intervals[0].start, u.intervals[0].stop)).collect();
        assert_eq!(lives, [(0, 1, 300), (1, 26, 275), (2, 51, 250), (3, 76, 225)]);
    }

    #[test]
    fn a_user_can_come_back() {
        let plan = closed(vec![ramp(10, 2, 2), ramp(10, 1, 1), ramp(10, 2, 2)], 30);
        let spans: Vec<_> = users(&plan)[1].intervals.iter().map(|i| (i.start, i.stop)).collect();
        assert_eq!(spans, [(0, 10), (20, 30)]);
    }

    #[test]
    fn a_load_that_starts_later_has_the_next_numbers_and_its_own_scenarios() {
        let mut plan =
            crate::fixtures::both(&closed(vec![ramp(10, 2, 2)], 10), &closed(vec![ramp(10, 2, 2)], 10), 5);
        plan.loads[0].scenarios = vec![0];
        plan.loads[1].scenarios = vec![1];
        let lives: Vec<_> = users(&plan)
            .iter()
            .map(|u| (u.number, u.scenario, u.intervals[0].start, u.intervals[0].stop))
            .collect();
        assert_eq!(lives, [(0, 0, 0, 10), (1, 0, 0, 10), (2, 1, 5, 15), (3, 1, 5, 15)]);
    }

    proptest! {
        #[test]
        fn as_many_are_active_as_the_curve_asks(load in ramps(40), end in 1_u64..2000, at in 0_u64..2000) {
            let plan = closed(load, end);
            let active = users(&plan)
                .iter()
                .filter(|u| u.intervals.iter().any(|i| (i.start..i.stop).contains(&at)))
                .count() as u64;
            prop_assert_eq!(active, plan.users_at(at));
            prop_assert!(active <= plan.peak_users());
        }

        #[test]
        fn as_many_are_active_as_all_loads_ask(plan in groups(40), at in 0_u64..4000) {
            let active = users(&plan)
                .iter()
                .filter(|u| u.intervals.iter().any(|i| (i.start..i.stop).contains(&at)))
                .count() as u64;
            prop_assert_eq!(active, plan.users_at(at));
            prop_assert!(active <= plan.peak_users() && plan.peak_users() <= plan.total_users());
        }

        #[test]
        fn intervals_are_apart_and_end_with_their_load(plan in groups(40)) {
            for part in crate::fixtures::whole(&plan).groups() {
                let (start, end) = (part.group().start, part.group().end());
                for user in part.users() {
                    prop_assert!(user.intervals.windows(2).all(|w| w[0].stop < w[1].start));
                    let within = |i: &crate::Interval| start <= i.start && i.start < i.stop && i.stop <= end;
                    prop_assert!(user.intervals.iter().all(within));
                    prop_assert!(part.group().scenarios.contains(&user.scenario));
                }
            }
        }
    }
}
