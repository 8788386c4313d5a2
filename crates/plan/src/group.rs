//! What the loads of a plan come to together: how many members they have and ask for, and which numbers these bear. Users and arrivals
//! one by one are in `users.rs` and `arrivals.rs`.

use plimsoll_scenario::Sequence;

use crate::{Distribution, Load, LoadGroup, Plan};

/// Nanoseconds that a teardown has in any case.
const LEAST_TEARDOWN: u64 = 30_000_000_000;

impl Plan {
    /// Whether some load is of the open model.
    #[must_use]
    pub fn has_arrivals(&self) -> bool {
        self.loads.iter().any(LoadGroup::is_open)
    }

    /// Whether some load is of the closed model.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.loads.iter().any(|group| !group.is_open())
    }

    /// Users asked for at a moment; 0 from the end on, and in the open model.
    #[must_use]
    pub fn users_at(&self, at: u64) -> u64 {
        sum(self.loads.iter().map(|group| group.users_at(at)))
    }

    /// Most users asked for at any moment; 0 in the open model. Of several loads it is the peaks of those that go on at the same time,
    /// which they may reach one after the other.
    #[must_use]
    pub fn peak_users(&self) -> u64 {
        self.together(LoadGroup::peak_users)
    }

    /// Most arrivals per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS) asked for at any moment, with several loads as
    /// [`Plan::peak_users`]; 0 in the closed model.
    #[must_use]
    pub fn peak_rate(&self) -> u64 {
        self.together(LoadGroup::peak_rate)
    }

    /// The largest sum of the loads that go on at the same time.
    fn together(&self, of: impl Fn(&LoadGroup) -> u64) -> u64 {
        let at = |at: u64| {
            let going_on = self.loads.iter().filter(|group| (group.start..group.end()).contains(&at));
            sum(going_on.map(&of))
        };
        self.loads.iter().map(|group| at(group.start)).max().unwrap_or(0)
    }

    /// Users of the whole run: the peaks of all loads of the closed model.
    #[must_use]
    pub fn total_users(&self) -> u64 {
        sum(self.loads.iter().map(LoadGroup::peak_users))
    }

    /// Arrivals per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS) asked for at a moment; 0 from the end on, and in the closed model.
    #[must_use]
    pub fn rate_at(&self, at: u64) -> u64 {
        sum(self.loads.iter().map(|group| group.rate_at(at)))
    }

    /// Arrivals due before a moment, over all workers: exact for a uniform load, the mean of a Poisson one; 0 in the closed model.
    #[must_use]
    pub fn arrivals_before(&self, at: u64) -> u64 {
        sum(self.loads.iter().map(|group| group.arrivals_before(at)))
    }

    /// Arrivals of the whole run, as [`Plan::arrivals_before`] its end.
    #[must_use]
    pub fn total_arrivals(&self) -> u64 {
        self.arrivals_before(u64::MAX)
    }

    /// Most arrivals in flight over all workers and loads; 0 in the closed model.
    #[must_use]
    pub fn max_in_flight(&self) -> u64 {
        sum(self.loads.iter().filter_map(LoadGroup::max_in_flight))
    }

    /// Iterations after which the run ends; none if a load goes on until its time is over.
    #[must_use]
    pub fn iterations(&self) -> Option<u64> {
        self.loads.iter().try_fold(0_u64, |all, group| Some(all.saturating_add(group.iterations?)))
    }

    /// How long the teardown may take, nanoseconds: as long as work in flight, and at least 30 s; 0 without one.
    #[must_use]
    pub fn teardown_time(&self) -> u64 {
        if self.script.teardown.is_empty() { 0 } else { self.graceful_stop.max(LEAST_TEARDOWN) }
    }

    /// Number of the first member of load `index`: members of different loads never bear the same.
    #[must_use]
    pub(crate) fn first_member(&self, index: usize) -> u64 {
        sum(self.loads.iter().take(index).map(LoadGroup::members))
    }

    /// Deals the members of a load out to its scenarios; it gives places in [`LoadGroup::scenarios`].
    pub(crate) fn sequence(&self, group: &LoadGroup) -> Sequence {
        let weight = |index: &usize| self.script.scenarios.get(*index).map_or(0, |scenario| scenario.weight);
        Sequence::new(&group.scenarios.iter().map(weight).collect::<Vec<_>>())
    }
}

fn sum(parts: impl Iterator<Item = u64>) -> u64 {
    parts.fold(0, u64::saturating_add)
}

impl LoadGroup {
    /// When it ends, in nanoseconds since the start of the run.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.duration)
    }

    /// Whether it is of the open model.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.load, Load::Open { .. })
    }

    /// Most arrivals in flight over all workers; none in the closed model.
    #[must_use]
    pub fn max_in_flight(&self) -> Option<u64> {
        match self.load {
            Load::Open { max_in_flight, .. } => Some(max_in_flight),
            Load::Closed { .. } => None,
        }
    }

    /// Most arrivals per [`RATE_SECONDS`](plimsoll_measure::RATE_SECONDS) at any moment; 0 in the closed model.
    #[must_use]
    pub fn peak_rate(&self) -> u64 {
        match &self.load {
            Load::Open { rate, .. } => {
                let ramps = rate.iter().filter(|ramp| ramp.duration > 0);
                ramps.map(|ramp| ramp.from.max(ramp.to)).max().unwrap_or(0)
            }
            Load::Closed { .. } => 0,
        }
    }

    /// Numbers that its members may bear. How many arrivals a Poisson load has is only known at its end: twice its mean and a million
    /// more are out of its reach.
    fn members(&self) -> u64 {
        let arrivals = self.arrivals_before(u64::MAX);
        match self.load {
            Load::Closed { .. } => self.peak_users(),
            Load::Open { distribution: Distribution::Uniform, .. } => arrivals,
            Load::Open { distribution: Distribution::Poisson, .. } => {
                arrivals.saturating_mul(2).saturating_add(1_000_000)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SECOND, both, closed, open, ramp};

    #[test]
    fn loads_side_by_side_add_up_and_loads_in_turn_do_not() {
        let (five, three) = (closed(vec![ramp(10, 5, 5)], 10), closed(vec![ramp(10, 3, 3)], 10));
        let beside = both(&five, &three, 4);
        assert_eq!([0, 3, 4, 9, 10, 13, 14].map(|at| beside.users_at(at)), [5, 5, 8, 8, 3, 3, 0]);
        assert_eq!((beside.peak_users(), beside.total_users(), beside.duration), (8, 8, 14));
        let in_turn = both(&five, &three, 10);
        assert_eq!((in_turn.peak_users(), in_turn.total_users(), in_turn.duration), (5, 8, 20));
    }

    #[test]
    fn iterations_end_the_run_only_if_they_end_every_load() {
        let mut plan = both(&closed(vec![ramp(10, 5, 5)], 10), &closed(vec![ramp(10, 3, 3)], 10), 4);
        plan.loads[0].iterations = Some(7);
        assert_eq!(plan.iterations(), None);
        plan.loads[1].iterations = Some(4);
        assert_eq!(plan.iterations(), Some(11));
    }

    #[test]
    fn both_models_in_one_run_keep_their_counts_apart() {
        let rate = 10 * crate::fixtures::PER_SECOND;
        let arrivals = open(vec![ramp(SECOND, rate, rate)], SECOND, Distribution::Uniform);
        let plan = both(&closed(vec![ramp(SECOND, 5, 5)], SECOND), &arrivals, SECOND / 2);
        assert!(plan.has_users() && plan.has_arrivals());
        assert_eq!((plan.total_arrivals(), plan.arrivals_before(SECOND), plan.peak_users()), (10, 5, 5));
        assert_eq!((plan.rate_at(0), plan.rate_at(SECOND), plan.users_at(SECOND)), (0, rate, 0));
        assert_eq!([plan.first_member(0), plan.first_member(1), plan.first_member(2)], [0, 5, 15]);
    }
}
