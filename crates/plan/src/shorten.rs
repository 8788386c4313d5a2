//! The same run in less time: `plimsoll run --shorten`.

use crate::{Load, Plan, Ramp};

impl Plan {
    /// Squeezes the run into `to` nanoseconds: loads, stages, windows and timeline keep their proportions; users, rates, waits and
    /// time-outs stay. A run that is not longer is left as it is.
    pub fn shorten(&mut self, to: u64) {
        let from = self.duration;
        if to >= from {
            return;
        }
        let scale = |at: u64| scaled(at, to, from);
        for group in &mut self.loads {
            let (start, end) = (scale(group.start), scale(group.end()));
            match &mut group.load {
                Load::Closed { users: ramps } | Load::Open { rate: ramps, .. } => {
                    squeeze(ramps, group.start, scale);
                }
            }
            (group.start, group.duration) = (start, end - start);
        }
        for (end, _) in &mut self.layout.segments {
            *end = scale(*end);
        }
        for span in self.layout.windows.iter_mut().flat_map(|window| &mut window.spans) {
            *span = (scale(span.0), scale(span.1));
        }
        for call in &mut self.script.timeline {
            call.at = scale(call.at);
        }
        self.duration = to;
    }
}

/// A moment of the shortened run; one that is never reached stays so.
fn scaled(at: u64, to: u64, from: u64) -> u64 {
    if at == u64::MAX {
        return at;
    }
    u64::try_from(u128::from(at) * u128::from(to) / u128::from(from.max(1))).unwrap_or(u64::MAX)
}

/// Ends are scaled rather than lengths, so that rounding moves no later stage.
fn squeeze(ramps: &mut [Ramp], start: u64, scale: impl Fn(u64) -> u64) {
    let mut at = start;
    for ramp in ramps {
        let end = at.saturating_add(ramp.duration);
        ramp.duration = if end == u64::MAX { u64::MAX } else { scale(end) - scale(at) };
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::fixtures::{SECOND, closed, ramp};

    #[test]
    fn everything_keeps_its_place() {
        let mut plan =
            closed(vec![ramp(10 * SECOND, 0, 9), ramp(20 * SECOND, 9, 9), ramp(u64::MAX, 9, 9)], 30 * SECOND);
        plan.layout.segments =
            vec![(10 * SECOND, plimsoll_measure::WindowId(0)), (u64::MAX, plimsoll_measure::WindowId(1))];
        let before = plan.clone();
        plan.shorten(60 * SECOND);
        assert_eq!(plan, before);
        plan.shorten(3 * SECOND);
        assert_eq!((plan.duration, plan.loads[0].duration), (3 * SECOND, 3 * SECOND));
        assert_eq!(plan.layout.segments[0].0, SECOND);
        assert_eq!(plan.layout.segments[1].0, u64::MAX);
        assert_eq!((plan.users_at(SECOND / 2), plan.users_at(2 * SECOND)), (before.users_at(5 * SECOND), 9));
    }

    proptest! {
        #[test]
        fn the_shape_stays(lengths in prop::collection::vec(1_u64..1000, 1..6), to in 1_u64..500) {
            let all: u64 = lengths.iter().sum::<u64>() * SECOND;
            let mut level = 0;
            let ramps = lengths.iter().map(|length| { level += 1; ramp(length * SECOND, level - 1, level) }).collect();
            let mut plan = closed(ramps, all);
            let before = plan.clone();
            plan.shorten(to * SECOND);
            prop_assert!(plan.check().is_ok());
            for part in 0..100_u64 {
                let (old, new) = (all / 100 * part, plan.duration / 100 * part);
                prop_assert!(plan.users_at(new).abs_diff(before.users_at(old)) <= 1);
            }
        }
    }
}
