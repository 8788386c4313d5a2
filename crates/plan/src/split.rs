//! Cuts a plan into shares for workers, and a worker's share into lanes for its cores. Nothing is assigned by anybody: every
//! share follows from its index.

use std::sync::Arc;

use crate::{GroupShare, Load, LoadGroup, Plan, Share, Stride};

/// A share that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no share {index} of {workers}; indexes are from 0 to {}", workers.saturating_sub(1))]
pub struct SplitError {
    /// The index asked for.
    pub index: u32,
    /// Number of shares of the plan.
    pub workers: u32,
}

impl Plan {
    /// The share of worker `index`, from 0.
    ///
    /// # Errors
    /// The plan has fewer workers.
    pub fn share(self: Arc<Self>, index: u32) -> Result<Share, SplitError> {
        let workers = self.workers;
        if index >= workers {
            return Err(SplitError { index, workers });
        }
        Ok(Share { plan: self, stride: Stride { offset: u64::from(index), step: u64::from(workers) } })
    }
}

impl Stride {
    /// How many of the first `total` members are its own. Over all strides of a split the portions add up to `total`, and no two
    /// differ by more than one.
    #[must_use]
    pub fn portion(&self, total: u64) -> u64 {
        total.saturating_sub(self.offset).div_ceil(self.step.max(1))
    }

    /// Its own part `lane` of `lanes`.
    #[must_use]
    pub fn lane(&self, lane: u64, lanes: u64) -> Self {
        let step = self.step.max(1);
        Self { offset: self.offset + step * lane, step: step * lanes.max(1) }
    }

    /// The same members, counted from member `first` on.
    #[must_use]
    pub fn counted_from(&self, first: u64) -> Self {
        let step = self.step.max(1);
        Self { offset: (self.offset % step + step - first % step) % step, step }
    }
}

impl Share {
    /// This share cut for the threads of a worker.
    ///
    /// There are fewer lanes than threads (at least one) where users, connections, places in flight or places of a step do not reach
    /// for one each: a lane without them could never work off its part.
    #[must_use]
    pub fn lanes(&self, threads: usize) -> Vec<Self> {
        let users =
            (!self.plan.has_arrivals()).then(|| self.groups().fold(0, |sum, group| sum + group.user_count()));
        let in_flight = self.groups().filter_map(|group| group.max_in_flight()).min();
        let limits = (0..self.plan.script.limits.len()).filter_map(|index| self.limit(index)).min();
        let scarcest = [users, self.max_connections(), in_flight, limits].into_iter().flatten().min();
        let lanes = scarcest.unwrap_or(u64::MAX).min(threads as u64).max(1);
        (0..lanes)
            .map(|lane| Self { plan: self.plan.clone(), stride: self.stride.lane(lane, lanes) })
            .collect()
    }

    /// This share of each load, in the order of the plan.
    pub fn groups(&self) -> impl Iterator<Item = GroupShare> + use<'_> {
        (0..self.plan.loads.len()).map(|index| {
            let first = self.plan.first_member(index);
            GroupShare { plan: self.plan.clone(), index, first, stride: self.stride.counted_from(first) }
        })
    }

    /// Most connections of this share; no limit when absent.
    #[must_use]
    pub fn max_connections(&self) -> Option<u64> {
        self.plan.target.connections.max.map(|max| self.stride.portion(max))
    }

    /// Most users of this share at once in the steps of limit `index` of the script; absent if there is no such limit.
    #[must_use]
    pub fn limit(&self, index: usize) -> Option<u64> {
        self.plan.script.limits.get(index).map(|limit| self.stride.portion(limit.max))
    }
}

/// A load of nobody: what a part of a load that the plan does not have would be part of.
static NOTHING: LoadGroup = LoadGroup {
    load: Load::Closed { users: Vec::new() },
    start: 0,
    duration: 0,
    graceful_ramp_down: 0,
    iterations: None,
    scenarios: Vec::new(),
};

impl GroupShare {
    /// The load that this is a part of.
    #[must_use]
    pub fn group(&self) -> &LoadGroup {
        self.plan.loads.get(self.index).unwrap_or(&NOTHING)
    }

    /// Users of this part; 0 in the open model.
    #[must_use]
    pub fn user_count(&self) -> u64 {
        self.stride.portion(self.group().peak_users())
    }

    /// Most arrivals in flight in this part; absent in the closed model.
    #[must_use]
    pub fn max_in_flight(&self) -> Option<u64> {
        self.group().max_in_flight().map(|max| self.stride.portion(max))
    }

    /// Iterations of this part; no limit when absent.
    #[must_use]
    pub fn iterations(&self) -> Option<u64> {
        self.group().iterations.map(|all| self.stride.portion(all))
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_scenario::Limit;
    use proptest::prelude::*;

    use super::*;
    use crate::Distribution;
    use crate::fixtures::{SECOND, arrivals, both, closed, groups, open, ramp, users};

    fn all_lanes(plan: Plan, threads: usize) -> Vec<Share> {
        let plan = Arc::new(plan);
        (0..plan.workers).flat_map(|i| plan.clone().share(i).unwrap().lanes(threads)).collect()
    }

    #[test]
    fn an_index_beyond_the_workers_is_refused() {
        let plan = Arc::new(closed(vec![ramp(10, 4, 4)], 10));
        let error = plan.share(1).unwrap_err();
        assert_eq!(error.to_string(), "there is no share 1 of 1; indexes are from 0 to 0");
    }

    #[test]
    fn scarce_things_limit_the_lanes() {
        let mut plan = closed(vec![ramp(10, 5, 5)], 10);
        plan.workers = 2;
        assert_eq!(all_lanes(plan.clone(), 4).len(), 3 + 2);
        plan.script.limits = vec![Limit { name: "debates".into(), max: 4, waiting: 0 }];
        assert_eq!(all_lanes(plan.clone(), 4).len(), 2 + 2);
        plan.target.connections.max = Some(3);
        assert_eq!(all_lanes(plan, 4).len(), 2 + 1);
        let mut plan = open(vec![ramp(SECOND, 1000, 1000)], SECOND, Distribution::Uniform);
        assert_eq!(all_lanes(plan.clone(), 4).len(), 4);
        if let Load::Open { max_in_flight, .. } = &mut plan.loads[0].load {
            *max_in_flight = 1;
        }
        assert_eq!(all_lanes(plan, 4).len(), 1);
    }

    #[test]
    fn users_of_many_small_loads_are_spread_over_all_workers() {
        let one = || closed(vec![ramp(10, 1, 1)], 10);
        let mut plan = both(&both(&one(), &one(), 0), &both(&one(), &one(), 0), 0);
        plan.workers = 4;
        let plan = Arc::new(plan);
        for index in 0..4 {
            let share = plan.clone().share(index).unwrap();
            let numbers: Vec<u64> = share.groups().flat_map(|g| g.users()).map(|u| u.number).collect();
            assert_eq!(numbers, [u64::from(index)]);
        }
    }

    proptest! {
        #[test]
        fn portions_add_up(total in 0_u64..100_000, workers in 1_u32..50, threads in 1_u64..20, first in 0_u64..1000) {
            let strides: Vec<Stride> = (0..u64::from(workers))
                .flat_map(|offset| {
                    let share = Stride { offset, step: u64::from(workers) };
                    (0..threads).map(move |lane| share.lane(lane, threads).counted_from(first))
                })
                .collect();
            let portions: Vec<u64> = strides.iter().map(|s| s.portion(total)).collect();
            prop_assert_eq!(portions.iter().sum::<u64>(), total);
            prop_assert!(portions.iter().max().unwrap() - portions.iter().min().unwrap() <= 1);
        }

        #[test]
        fn members_counted_from_another_one_on_are_the_same(
            offset in 0_u64..9, more in 1_u64..9, first in 0_u64..100, number in 0_u64..1000
        ) {
            let stride = Stride { offset, step: offset + more };
            let has = |s: Stride, n: u64| n >= s.offset && (n - s.offset).is_multiple_of(s.step);
            prop_assert_eq!(has(stride.counted_from(first), number), has(stride, first + number));
        }

        #[test]
        fn users_of_all_lanes_are_the_users_of_the_run(mut plan in groups(60), workers in 1_u32..9, threads in 1_usize..5) {
            plan.workers = workers;
            let expected = users(&plan);
            let mut got: Vec<_> =
                all_lanes(plan, threads).iter().flat_map(|lane| lane.groups().flat_map(|g| g.users()).collect::<Vec<_>>()).collect();
            got.sort_by_key(|user| user.number);
            prop_assert!(got.windows(2).all(|w| w[0].number < w[1].number));
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn arrivals_of_all_lanes_are_the_arrivals_of_the_run(
            rate in 1_u64..900_000, end in 0_u64..900_000, workers in 1_u32..9, threads in 1_usize..5, later in 0_u64..SECOND
        ) {
            let stages = vec![ramp(SECOND, rate, end), ramp(SECOND / 3, rate, rate)];
            let one = open(stages, 2 * SECOND, Distribution::Uniform);
            let mut plan = both(&one, &one, later);
            plan.workers = workers;
            let expected = arrivals(&plan);
            let mut got: Vec<_> = all_lanes(plan, threads)
                .iter()
                .flat_map(|lane| lane.groups().flat_map(|g| g.arrivals()).collect::<Vec<_>>())
                .collect();
            got.sort_by_key(|arrival| arrival.number);
            prop_assert!(got.windows(2).all(|w| w[0].number < w[1].number));
            prop_assert_eq!(got, expected);
        }
    }
}
