//! Cuts a plan into shares for workers, and a worker's share into lanes for its cores. Nothing is assigned by anybody: every
//! share follows from its index.

use std::sync::Arc;

use crate::{Load, Plan, Share, Stride};

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
}

impl Share {
    /// This share cut for the threads of a worker.
    ///
    /// There are fewer lanes than threads (at least one) where users, connections or places in flight do not reach for one each: a
    /// lane without them could never work off its part.
    #[must_use]
    pub fn lanes(&self, threads: usize) -> Vec<Self> {
        let users = match self.plan.load {
            Load::Closed { .. } => Some(self.stride.portion(self.plan.peak_users())),
            Load::Open { .. } => None,
        };
        let scarcest = [users, self.max_connections(), self.max_in_flight()].into_iter().flatten().min();
        let lanes = scarcest.unwrap_or(u64::MAX).min(threads as u64).max(1);
        (0..lanes)
            .map(|lane| Self { plan: self.plan.clone(), stride: self.stride.lane(lane, lanes) })
            .collect()
    }

    /// Most connections of this share; no limit when absent.
    #[must_use]
    pub fn max_connections(&self) -> Option<u64> {
        self.plan.target.connections.max.map(|max| self.stride.portion(max))
    }

    /// Most arrivals in flight in this share; absent in the closed model.
    #[must_use]
    pub fn max_in_flight(&self) -> Option<u64> {
        match self.plan.load {
            Load::Open { max_in_flight, .. } => Some(self.stride.portion(max_in_flight)),
            Load::Closed { .. } => None,
        }
    }

    /// Iterations of this share; no limit when absent.
    #[must_use]
    pub fn iterations(&self) -> Option<u64> {
        self.plan.iterations.map(|all| self.stride.portion(all))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Distribution;
    use crate::fixtures::{SECOND, closed, open, ramp, whole};

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
        plan.target.connections.max = Some(3);
        assert_eq!(all_lanes(plan, 4).len(), 2 + 1);
        let mut plan = open(vec![ramp(SECOND, 1000, 1000)], SECOND, Distribution::Uniform);
        assert_eq!(all_lanes(plan.clone(), 4).len(), 4);
        if let Load::Open { max_in_flight, .. } = &mut plan.load {
            *max_in_flight = 1;
        }
        assert_eq!(all_lanes(plan, 4).len(), 1);
    }

    proptest! {
        #[test]
        fn portions_add_up(total in 0_u64..100_000, workers in 1_u32..50, threads in 1_u64..20) {
            let strides: Vec<Stride> = (0..u64::from(workers))
                .flat_map(|offset| {
                    let share = Stride { offset, step: u64::from(workers) };
                    (0..threads).map(move |lane| share.lane(lane, threads))
                })
                .collect();
            let portions: Vec<u64> = strides.iter().map(|s| s.portion(total)).collect();
            prop_assert_eq!(portions.iter().sum::<u64>(), total);
            prop_assert!(portions.iter().max().unwrap() - portions.iter().min().unwrap() <= 1);
        }

        #[test]
        fn users_of_all_lanes_are_the_users_of_the_run(peak in 1_u64..200, workers in 1_u32..9, threads in 1_usize..5) {
            let mut plan = closed(vec![ramp(1000, 0, peak), ramp(1000, peak, peak / 2)], 2000);
            plan.workers = workers;
            let expected: Vec<_> = whole(&plan).users().collect();
            let mut got: Vec<_> = all_lanes(plan, threads).iter().flat_map(|lane| lane.users().collect::<Vec<_>>()).collect();
            got.sort_by_key(|user| user.number);
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn arrivals_of_all_lanes_are_the_arrivals_of_the_run(
            rate in 1_u64..900_000, end in 0_u64..900_000, workers in 1_u32..9, threads in 1_usize..5
        ) {
            let stages = vec![ramp(SECOND, rate, end), ramp(SECOND / 3, rate, rate)];
            let mut plan = open(stages, 2 * SECOND, Distribution::Uniform);
            plan.workers = workers;
            let expected: Vec<_> = whole(&plan).arrivals().collect();
            let mut got: Vec<_> = all_lanes(plan, threads).iter().flat_map(Share::arrivals).collect();
            got.sort_by_key(|arrival| arrival.number);
            prop_assert_eq!(got, expected);
        }
    }
}
