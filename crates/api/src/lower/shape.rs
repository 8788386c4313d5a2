//! Shapes over shapes: `users` scales, `duration` stretches, `arrivals` takes the place of the closed model. Used by `profile.rs`.

use super::error::Errors;
use super::steps;
use crate::v1alpha1::{ArrivalStage, Arrivals, Shape, Stage};
use crate::{GoDuration, Users};

/// What a shape says twice or in contradiction; the CRD refuses the same.
pub(super) fn check(shape: &Shape, at: &str, errors: &mut Errors) {
    let closed = [
        ("users", shape.users.is_some()),
        ("stages", shape.stages.is_some()),
        ("spawnRate", shape.spawn_rate.is_some()),
        ("wait", shape.wait.is_some()),
    ];
    if let Some((field, _)) = closed.iter().find(|(_, given)| *given && shape.arrivals.is_some()) {
        let message =
            format!("{field} (closed model) and arrivals (open model) exclude each other: keep one of them");
        errors.add(format!("{at}.{field}"), message);
    }
    if shape.spawn_rate.is_some() && shape.stages.is_some() {
        errors.add(format!("{at}.spawnRate"), "the stages say how fast users come: remove spawnRate");
    }
    if let Some(arrivals) = &shape.arrivals
        && arrivals.rate.is_some() == arrivals.stages.is_some()
    {
        errors.add(format!("{at}.arrivals"), "arrivals needs either rate or stages");
    }
    if let Some(wait) = shape.wait {
        steps::wait(wait, &format!("{at}.wait"), errors);
    }
}

/// In a test, the stages are the duration; in a profile that tests share, the last value may be held for longer.
pub(super) fn check_duration(shape: &Shape, at: &str, errors: &mut Errors) {
    if let (Some(duration), Some(sum)) = (shape.duration, stage_sum(shape)) {
        let sum = GoDuration { nanos: sum };
        let message = format!(
            "{duration} beside stages, whose sum is {sum}: remove duration, the stages are the duration"
        );
        errors.add(format!("{at}.duration"), message);
    }
}

/// Nanoseconds of all stages, if there are any.
fn stage_sum(shape: &Shape) -> Option<u64> {
    let open = shape.arrivals.as_ref().and_then(|arrivals| arrivals.stages.as_ref());
    match (&shape.stages, open) {
        (Some(stages), _) => Some(stages.iter().map(|stage| stage.duration.nanos).sum()),
        (None, Some(stages)) => Some(stages.iter().map(|stage| stage.duration.nanos).sum()),
        (None, None) => None,
    }
}

/// Nanoseconds in all, if they are known.
pub(super) fn total(shape: &Shape) -> Option<u64> {
    stage_sum(shape).or(shape.duration.map(|duration| duration.nanos))
}

/// Makes a duration that is longer than the stages a part of them: the last value, held.
pub(super) fn spell_out(shape: &mut Shape) -> Result<(), String> {
    let (Some(duration), Some(sum)) = (shape.duration, stage_sum(shape)) else { return Ok(()) };
    let Some(rest) = duration.nanos.checked_sub(sum) else {
        let sum = GoDuration { nanos: sum };
        return Err(format!("duration {duration} is shorter than the sum of its stages, {sum}: remove it"));
    };
    shape.duration = None;
    if rest == 0 {
        return Ok(());
    }
    let duration = GoDuration { nanos: rest };
    if let Some(stages) = &mut shape.stages
        && let Some(last) = stages.last().cloned()
    {
        stages.push(Stage { duration, ..last });
    } else if let Some(stages) = shape.arrivals.as_mut().and_then(|arrivals| arrivals.stages.as_mut())
        && let Some(last) = stages.last().cloned()
    {
        stages.push(ArrivalStage { duration, ..last });
    }
    Ok(())
}

/// `top` over `base`, which is spelt out.
pub(super) fn over(base: &Shape, top: &Shape, at: &str, errors: &mut Errors) -> Shape {
    let mut shape = base.clone();
    let closed =
        top.users.is_some() || top.stages.is_some() || top.spawn_rate.is_some() || top.wait.is_some();
    if let Some(arrivals) = &top.arrivals {
        become_open(&mut shape, arrivals, total(base));
    } else if closed && base.arrivals.is_some() {
        shape.arrivals = None;
        shape.duration = total(base).map(|nanos| GoDuration { nanos });
    }
    match (&top.stages, top.users) {
        (Some(stages), users) => {
            shape.users = users.or(shape.users);
            shape.stages = Some(stages.clone());
            (shape.duration, shape.spawn_rate) = (None, None);
        }
        (None, Some(users)) => scale(&mut shape, users),
        (None, None) => {}
    }
    if top.spawn_rate.is_some() {
        if shape.stages.is_some() && top.stages.is_none() {
            let message =
                "the profile has stages, which say how fast users come: remove spawnRate, or give stages";
            errors.add(format!("{at}.spawnRate"), message);
        }
        shape.spawn_rate = top.spawn_rate;
    }
    if let Some(duration) = top.duration {
        stretch(&mut shape, duration);
    }
    shape.wait = top.wait.or(shape.wait);
    shape.warmup = top.warmup.or(shape.warmup);
    shape.cooldown = top.cooldown.or(shape.cooldown);
    shape.iterations = top.iterations.or(shape.iterations);
    shape.graceful_stop = top.graceful_stop.or(shape.graceful_stop);
    shape.graceful_ramp_down = top.graceful_ramp_down.or(shape.graceful_ramp_down);
    shape
}

/// Arrivals in place of the closed-model fields; how long the base took stays, unless they have stages.
fn become_open(shape: &mut Shape, arrivals: &Arrivals, total: Option<u64>) {
    let before = shape.arrivals.take().unwrap_or_default();
    shape.arrivals = Some(Arrivals {
        distribution: arrivals.distribution.or(before.distribution),
        max_in_flight: arrivals.max_in_flight.or(before.max_in_flight),
        ..arrivals.clone()
    });
    (shape.users, shape.spawn_rate, shape.stages, shape.wait) = (None, None, None, None);
    shape.duration = total.filter(|_| arrivals.stages.is_none()).map(|nanos| GoDuration { nanos });
}

/// Another number of users: stages that name numbers keep their proportion to it, percentages are of it.
fn scale(shape: &mut Shape, users: u32) {
    let highest = shape.stages.iter().flatten().filter_map(|stage| match stage.users {
        Users::Count(count) => Some(count),
        Users::Percent(_) => None,
    });
    let before = u64::from(shape.users.or(highest.max()).unwrap_or_default());
    for stage in shape.stages.iter_mut().flatten() {
        if let Users::Count(count) = stage.users
            && before > 0
        {
            stage.users = Users::Count(portion(count.into(), users.into(), before));
        }
    }
    shape.users = Some(users);
}

/// `count · numerator / denominator`, rounded, and at least 1 of something.
pub(super) fn portion(count: u64, numerator: u64, denominator: u64) -> u32 {
    let (count, numerator, denominator) =
        (u128::from(count), u128::from(numerator), u128::from(denominator.max(1)));
    let rounded = (count * numerator + denominator / 2) / denominator;
    let least = u128::from(count > 0 && numerator > 0);
    u32::try_from(rounded.max(least)).unwrap_or(u32::MAX)
}

/// Another duration: stages, warm-up and cool-down keep their proportion to it.
fn stretch(shape: &mut Shape, duration: GoDuration) {
    let before = total(shape).unwrap_or_default();
    let stretched = |nanos: u64| {
        let long = u128::from(nanos) * u128::from(duration.nanos) / u128::from(before.max(1));
        u64::try_from(long).unwrap_or(u64::MAX)
    };
    if before > 0 {
        for part in [&mut shape.warmup, &mut shape.cooldown].into_iter().flatten() {
            part.nanos = stretched(part.nanos);
        }
        // The ends are stretched, not the lengths, so that rounding does not add up.
        let mut end = 0;
        let mut stretch_stage = |stage: &mut GoDuration| {
            let start = stretched(end);
            end += stage.nanos;
            stage.nanos = stretched(end) - start;
        };
        if let Some(stages) = &mut shape.stages {
            stages.iter_mut().for_each(|stage| stretch_stage(&mut stage.duration));
        } else if let Some(stages) = shape.arrivals.as_mut().and_then(|arrivals| arrivals.stages.as_mut()) {
            stages.iter_mut().for_each(|stage| stretch_stage(&mut stage.duration));
        }
    }
    shape.duration = if stage_sum(shape).is_some() { None } else { Some(duration) };
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn merged(base: Value, top: Value) -> Value {
        let mut base: Shape = serde_json::from_value(base).unwrap();
        spell_out(&mut base).unwrap();
        let mut errors = Errors::default();
        let shape = over(&base, &serde_json::from_value(top).unwrap(), "p", &mut errors);
        assert_eq!(errors.finish(), Ok(()));
        serde_json::to_value(shape).unwrap()
    }

    #[test]
    fn users_scale_and_durations_stretch() {
        let stages = |list: &[(&str, Value)]| -> Value {
            list.iter().map(|(duration, users)| json!({"duration": duration, "users": users})).collect()
        };
        let spike = json!({"users": 200, "warmup": "30s", "cooldown": "1m",
            "stages": stages(&[("30s", json!(10)), ("4m", json!(200)), ("30s", json!(0))])});
        let shared = json!({"users": 400, "stages": stages(&[("1m", json!("20%")), ("3m", json!("100%"))])});
        for (base, top, expected) in [
            (
                spike.clone(),
                json!({"users": 20}),
                json!({"users": 20, "warmup": "30s", "cooldown": "1m",
                "stages": stages(&[("30s", json!(1)), ("4m", json!(20)), ("30s", json!(0))])}),
            ),
            // 10 of 200 users are half a user of 10: at least one.
            (
                spike.clone(),
                json!({"users": 10}),
                json!({"users": 10, "warmup": "30s", "cooldown": "1m",
                "stages": stages(&[("30s", json!(1)), ("4m", json!(10)), ("30s", json!(0))])}),
            ),
            (
                spike.clone(),
                json!({"duration": "30s"}),
                json!({"users": 200, "warmup": "3s", "cooldown": "6s",
                "stages": stages(&[("3s", json!(10)), ("24s", json!(200)), ("3s", json!(0))])}),
            ),
            (
                spike.clone(),
                json!({"duration": "10m", "warmup": "5s"}),
                json!({"users": 200, "warmup": "5s", "cooldown": "2m",
                "stages": stages(&[("1m", json!(10)), ("8m", json!(200)), ("1m", json!(0))])}),
            ),
            (
                spike.clone(),
                json!({"stages": stages(&[("1m", json!(3))])}),
                json!({"users": 200, "warmup": "30s", "cooldown": "1m",
                "stages": stages(&[("1m", json!(3))])}),
            ),
            (
                spike.clone(),
                json!({"arrivals": {"rate": "50/s"}}),
                json!({"duration": "5m", "warmup": "30s", "cooldown": "1m",
                "arrivals": {"rate": "50/s"}}),
            ),
            (
                spike,
                json!({"arrivals": {"rate": "50/s"}, "duration": "1m"}),
                json!({"duration": "1m", "warmup": "6s",
                "cooldown": "12s", "arrivals": {"rate": "50/s"}}),
            ),
            (
                shared,
                json!({"users": 100}),
                json!({"users": 100, "stages": stages(&[("1m", json!("20%")), ("3m", json!("100%"))])}),
            ),
            (
                json!({"users": 5, "spawnRate": 1, "duration": "1m", "warmup": "10s"}),
                json!({"duration": "2m"}),
                json!({"users": 5, "spawnRate": 1, "duration": "2m", "warmup": "20s"}),
            ),
            (
                json!({"duration": "3m", "stages": stages(&[("1m", json!(8))])}),
                json!({"users": 4}),
                json!({"users": 4, "stages": stages(&[("1m", json!(4)), ("2m", json!(4))])}),
            ),
            (
                json!({"duration": "1m", "arrivals": {"rate": "9/s", "maxInFlight": 7}}),
                json!({"users": 4}),
                json!({"users": 4, "duration": "1m"}),
            ),
            (
                json!({"duration": "1m", "arrivals": {"rate": "9/s", "maxInFlight": 7}}),
                json!({"arrivals": {"rate": "3/s"}}),
                json!({"duration": "1m", "arrivals": {"rate": "3/s", "maxInFlight": 7}}),
            ),
            (json!({"users": 3}), json!({"duration": "1m"}), json!({"users": 3, "duration": "1m"})),
        ] {
            assert_eq!(merged(base, top.clone()), expected, "{top}");
        }
    }
}
