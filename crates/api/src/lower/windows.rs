//! Which window a moment of the run belongs to: warm-up, cool-down, the named windows of stages, and `main` for the rest.

use plimsoll_measure::{Layout, Window, WindowId};

use super::error::Errors;
use super::load::Lowered;
use crate::GoDuration;

/// Windows that are there without being named.
const MAIN: &str = "main";
const WARMUP: &str = "warmup";
const COOLDOWN: &str = "cooldown";

/// Windows and segments of a run; request names and objectives are still to come.
pub(super) fn layout(load: &Lowered, errors: &mut Errors) -> Layout {
    let mut windows = vec![judged(MAIN)];
    for (name, length) in [(WARMUP, load.warmup), (COOLDOWN, load.cooldown)] {
        if length > 0 {
            windows.push(Window { name: name.to_owned(), judged: false, spans: Vec::new() });
        }
    }
    let first_named = windows.len();
    let mut layout = Layout { windows, ..Layout::default() };
    let judged_from = load.warmup;
    let judged_to = load.duration.saturating_sub(load.cooldown);
    segment(&mut layout, load.warmup, WARMUP);
    let mut start = 0u64;
    for (at, (length, given)) in load.stages.iter().enumerate() {
        let end = start.saturating_add(*length);
        let name = given.as_deref().unwrap_or(MAIN);
        if given.is_some() && [MAIN, WARMUP, COOLDOWN].contains(&name) {
            let message = format!("{name:?} is the name of a window that is there anyway: choose another");
            errors.add(window_path(load, at), message);
        } else if !layout.windows.iter().any(|window| window.name == name) {
            layout.windows.push(judged(name));
        }
        let (from, to) = (start.max(judged_from), end.min(judged_to));
        if from < to {
            segment(&mut layout, to, name);
            if let Some(window) = layout.windows.iter_mut().find(|window| window.name == name) {
                add_span(&mut window.spans, from, to);
            }
        }
        start = end;
    }
    segment(&mut layout, load.duration, COOLDOWN);
    refuse_unjudged(load, &layout.windows[first_named..], errors);
    layout
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
fn refuse_unjudged(load: &Lowered, named: &[Window], errors: &mut Errors) {
    for window in named.iter().filter(|window| window.spans.is_empty()) {
        let at = load
            .stages
            .iter()
            .position(|(_, name)| name.as_deref() == Some(&window.name))
            .unwrap_or_default();
        let [warmup, cooldown] = [load.warmup, load.cooldown].map(|nanos| GoDuration { nanos });
        let message = format!(
            "window {:?} lies wholly inside warmup {warmup} or cooldown {cooldown}, which are not judged: shorten them, or lengthen the stage",
            window.name
        );
        errors.add(window_path(load, at), message);
    }
}

fn window_path(load: &Lowered, at: usize) -> String {
    let list = if load.is_open() { "arrivals.stages" } else { "stages" };
    format!("spec.profile.{list}[{at}].window")
}
