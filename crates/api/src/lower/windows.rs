//! Which window a moment of the run belongs to: warm-up, cool-down, the named windows of stages, and `main` for the rest.

use plimsoll_measure::{Layout, Window, WindowId};

use super::error::Errors;
use super::load::Lowered;
use crate::GoDuration;

/// Windows that are there without being named.
const MAIN: &str = "main";
const WARMUP: &str = "warmup";
const COOLDOWN: &str = "cooldown";
/// What is done once per run is recorded here, whenever it is.
const HOOKS: &str = "hooks";

/// A stretch of a named window.
struct Stretch<'a> {
    from: u64,
    to: u64,
    name: &'a str,
    /// Path of the name.
    at: String,
}

/// Windows and segments of a run; request names and objectives are still to come. `hooks`: something is done once per run.
pub(super) fn layout(load: &Lowered, hooks: bool, errors: &mut Errors) -> Layout {
    let mut windows = vec![judged(MAIN)];
    for (name, length) in [(WARMUP, load.warmup), (COOLDOWN, load.cooldown)] {
        if length > 0 {
            windows.push(unjudged(name));
        }
    }
    let first_named = windows.len();
    let mut layout = Layout { windows, ..Layout::default() };
    let stretches = stretches(load, errors);
    let judged_from = load.warmup;
    let judged_to = load.duration.saturating_sub(load.cooldown);
    segment(&mut layout, load.warmup, WARMUP);
    let mut end = 0;
    for stretch in &stretches {
        if !layout.windows.iter().any(|window| window.name == stretch.name) {
            layout.windows.push(judged(stretch.name));
        }
        let rest = [(end, stretch.from, MAIN), (stretch.from.max(end), stretch.to, stretch.name)];
        for (from, to, name) in rest {
            add(&mut layout, (from.max(judged_from), to.min(judged_to)), name);
        }
        end = end.max(stretch.to);
    }
    add(&mut layout, (end.max(judged_from), judged_to), MAIN);
    segment(&mut layout, load.duration, COOLDOWN);
    refuse_unjudged(load, &layout.windows[first_named..], &stretches, errors);
    if hooks {
        layout.hooks = u16::try_from(layout.windows.len()).ok().map(WindowId);
        layout.windows.push(unjudged(HOOKS));
    }
    layout
}

/// Stretches of named windows in order of time; no moment is of two windows.
fn stretches<'a>(load: &'a Lowered, errors: &mut Errors) -> Vec<Stretch<'a>> {
    let mut stretches = Vec::new();
    for group in &load.groups {
        let list = if group.load.is_open() { "arrivals.stages" } else { "stages" };
        let mut from = group.load.start;
        for (i, (length, name)) in group.stages.iter().enumerate() {
            let to = from.saturating_add(*length);
            if let Some(name) = name {
                let at = format!("{}.{list}[{i}].window", group.at);
                if [MAIN, WARMUP, COOLDOWN, HOOKS].contains(&name.as_str()) {
                    let message =
                        format!("{name:?} is the name of a window that is there anyway: choose another");
                    errors.add(at.as_str(), message);
                } else {
                    stretches.push(Stretch { from, to, name, at });
                }
            }
            from = to;
        }
    }
    stretches.sort_by_key(|stretch| stretch.from);
    for (i, later) in stretches.iter().enumerate() {
        let earlier =
            stretches[..i].iter().find(|earlier| earlier.to > later.from && earlier.name != later.name);
        if let Some(earlier) = earlier {
            let [from, to] = [later.from, earlier.to].map(|nanos| GoDuration { nanos });
            let message = format!(
                "window {:?} begins after {from}, while {:?} goes on until {to}: a moment belongs to one window, so name the stages of one load only",
                later.name, earlier.name
            );
            errors.add(later.at.as_str(), message);
        }
    }
    stretches
}

/// Adds a judged stretch, if there is anything of it.
fn add(layout: &mut Layout, (from, to): (u64, u64), name: &str) {
    if from >= to {
        return;
    }
    segment(layout, to, name);
    if let Some(window) = layout.windows.iter_mut().find(|window| window.name == name) {
        add_span(&mut window.spans, from, to);
    }
}

fn unjudged(name: &str) -> Window {
    Window { name: name.to_owned(), judged: false, spans: Vec::new() }
}

fn judged(name: &str) -> Window {
    Window { name: name.to_owned(), judged: true, spans: Vec::new() }
}

/// Ends the last segment, which belongs to a window, at a moment.
fn segment(layout: &mut Layout, end: u64, name: &str) {
    let Some(at) = layout.windows.iter().position(|window| window.name == name) else { return };
    let window = WindowId(u16::try_from(at).unwrap_or_default());
    match layout.segments.last_mut() {
        Some((last, of)) if *of == window => *last = end,
        Some((last, _)) if *last >= end => {}
        _ if end == 0 => {}
        _ => layout.segments.push((end, window)),
    }
}

fn add_span(spans: &mut Vec<(u64, u64)>, from: u64, to: u64) {
    match spans.last_mut() {
        Some((_, end)) if *end == from => *end = to,
        _ => spans.push((from, to)),
    }
}

/// A window of which warm-up and cool-down leave nothing could never be judged.
fn refuse_unjudged(load: &Lowered, named: &[Window], stretches: &[Stretch<'_>], errors: &mut Errors) {
    for window in named.iter().filter(|window| window.spans.is_empty()) {
        let Some(first) = stretches.iter().find(|stretch| stretch.name == window.name) else { continue };
        let [warmup, cooldown] = [load.warmup, load.cooldown].map(|nanos| GoDuration { nanos });
        let message = format!(
            "window {:?} lies wholly inside warmup {warmup} or cooldown {cooldown}, which are not judged: shorten them, or lengthen the stage",
            window.name
        );
        errors.add(first.at.as_str(), message);
    }
}
