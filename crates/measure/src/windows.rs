//! Which window a moment belongs to, for the hot path: nearly every moment lies in the same stretch as the one before. Used by
//! `recorder.rs`; the rule itself is [`Layout::window_at`].

use std::sync::Arc;

use crate::{Layout, WindowId};

/// The windows of one thread's layout, and where the last moment was found.
#[derive(Debug)]
pub(crate) struct Windows {
    layout: Arc<Layout>,
    /// The stretch of the last moment: where it begins, and how long it is; 0 before the first one.
    from: u64,
    length: u64,
    place: Option<Place>,
    hooks: Option<Place>,
}

/// A window that the layout has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) window: WindowId,
    pub(crate) judged: bool,
}

impl Windows {
    pub(crate) fn new(layout: Arc<Layout>) -> Self {
        let hooks = layout.hooks.and_then(|window| place(&layout, window));
        Self { layout, from: 0, length: 0, place: None, hooks }
    }

    /// The window of a moment; none if the layout names one that it does not have.
    #[inline]
    pub(crate) fn at(&mut self, nanos: u64) -> Option<Place> {
        if nanos.wrapping_sub(self.from) >= self.length {
            self.look(nanos);
        }
        self.place
    }

    /// From where on the last moment's window reaches, and for how many nanoseconds.
    pub(crate) fn stretch(&self) -> (u64, u64) {
        (self.from, self.length)
    }

    /// The window of what setup, timeline and teardown do.
    pub(crate) fn hooks(&self) -> Option<Place> {
        self.hooks
    }

    #[cold]
    fn look(&mut self, nanos: u64) {
        let segments = &self.layout.segments;
        // The last one is open-ended.
        let last = segments.len().saturating_sub(1);
        let at = segments.partition_point(|(end, _)| *end <= nanos).min(last);
        let end = |at: usize| segments.get(at).map_or(0, |(end, _)| *end);
        self.from = if at == 0 { 0 } else { end(at - 1) };
        self.length = if at == last { u64::MAX } else { end(at) } - self.from;
        self.place = place(&self.layout, self.layout.window_at(nanos));
    }
}

fn place(layout: &Layout, window: WindowId) -> Option<Place> {
    let exists = usize::from(window.0) < layout.windows.len();
    exists.then(|| Place { window, judged: layout.is_judged(window) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Window;

    fn layout(segments: &[(u64, u16)]) -> Layout {
        let window = |judged| Window { name: String::new(), judged, spans: Vec::new() };
        Layout {
            windows: vec![window(true), window(false), window(true)],
            segments: segments.iter().map(|(end, window)| (*end, WindowId(*window))).collect(),
            hooks: Some(WindowId(1)),
            ..Layout::default()
        }
    }

    #[test]
    fn remembers_what_the_layout_says_of_every_moment() {
        let all: [&[(u64, u16)]; 5] =
            [&[], &[(7, 2)], &[(2, 1), (4, 0)], &[(2, 1), (2, 0), (5, 2), (9, 9)], &[(3, 0), (u64::MAX, 1)]];
        for segments in all {
            let layout = layout(segments);
            let mut windows = Windows::new(Arc::new(layout.clone()));
            for nanos in (0..12).chain([3, 0, 11, u64::MAX, 4, u64::MAX - 1, 0]) {
                let expected = place(&layout, layout.window_at(nanos));
                assert_eq!(windows.at(nanos), expected, "{segments:?} at {nanos}");
            }
            assert_eq!(windows.hooks(), Some(Place { window: WindowId(1), judged: false }));
        }
    }
}
