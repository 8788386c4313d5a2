//! The timeline: steps that are done once, at the start of a window or so long after the start.

use plimsoll_scenario::Call;

use super::context::{Context, Place};
use super::{load, unknown};
use crate::GoDuration;

pub(super) fn lower(context: &mut Context<'_>, load: &load::Lowered) -> Vec<Call> {
    let mut calls = Vec::with_capacity(context.spec.timeline.len());
    for (i, call) in context.spec.timeline.iter().enumerate() {
        let at = format!("spec.timeline[{i}]");
        let moment = moment(&call.at, load).unwrap_or_else(|message| {
            context.errors.add(format!("{at}.at"), message);
            0
        });
        calls.push(Call { at: moment, step: context.step(&call.step, at, &Place::default()) });
    }
    calls
}

/// Nanoseconds since the start of the run.
fn moment(at: &str, load: &load::Lowered) -> Result<u64, String> {
    let windows = load.window_starts();
    if let Some((_, start)) = windows.iter().find(|(name, _)| name == at) {
        return Ok(*start);
    }
    let Ok(offset) = at.parse::<GoDuration>() else {
        let known: Vec<&str> = windows.iter().map(|(name, _)| name.as_str()).collect();
        let unknown = unknown("window", at, &known);
        let comma = if unknown.ends_with('?') { "" } else { "," };
        return Err(format!("{unknown}{comma} or write a time since the start, such as 90s"));
    };
    let duration = GoDuration { nanos: load.duration };
    if offset >= duration && load.duration > 0 {
        return Err(format!(
            "{offset} is not within the load, which ends after {duration}: choose an earlier time"
        ));
    }
    Ok(offset.nanos)
}
