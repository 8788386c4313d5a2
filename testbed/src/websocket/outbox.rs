//! The faults of messages: events left out, sent twice, out of order, or cut off. `websocket.rs` sends what comes out.

use super::talk::Out;
use crate::aragora::Sockets;

/// What one socket's events have gone through.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Events so far.
    events: u64,
    /// An event that waits for its successor.
    held: Option<String>,
}

impl Outbox {
    /// What is sent in place of a message: of an event none, it or more; of anything else it alone.
    pub(super) fn pass(&mut self, faults: &Sockets, out: Out) -> Vec<String> {
        let (text, last) = match out {
            Out::Plain(value) => return vec![value.to_string()],
            Out::Event { value, last } => (value.to_string(), last),
        };
        let number = self.events;
        self.events += 1;
        let hits = |when: Option<crate::law::When>| when.is_some_and(|when| when.hits(number));
        let mut sent = Vec::new();
        if !hits(faults.skip) {
            let text = if hits(faults.bad_json) { cut(text) } else { text };
            // The last event of a debate has no successor.
            if hits(faults.reorder) && self.held.is_none() && !last {
                self.held = Some(text);
                return sent;
            }
            if hits(faults.duplicate) {
                sent.push(text.clone());
            }
            sent.push(text);
        }
        sent.extend(self.held.take());
        sent
    }
}

/// The first half of a text.
fn cut(mut text: String) -> String {
    let mut half = text.len() / 2;
    while !text.is_char_boundary(half) {
        half -= 1;
    }
    text.truncate(half);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::law::When;
    use serde_json::json;

    fn sent(faults: &Sockets, count: u64) -> Vec<String> {
        let mut outbox = Outbox::default();
        let event = |i: u64| Out::Event { value: json!(i + 1000), last: i + 1 == count };
        (0..count).flat_map(|i| outbox.pass(faults, event(i))).collect()
    }

    #[test]
    fn events_are_left_out_doubled_reordered_and_cut() {
        let none = Sockets::default();
        assert_eq!(sent(&none, 3), ["1000", "1001", "1002"]);
        assert_eq!(sent(&Sockets { skip: Some(When::Every(2)), ..none.clone() }, 4), ["1000", "1002"]);
        let doubled = Sockets { duplicate: Some(When::First(1)), ..none.clone() };
        assert_eq!(sent(&doubled, 2), ["1000", "1000", "1001"]);
        let reordered = Sockets { reorder: Some(When::Every(2)), ..none.clone() };
        assert_eq!(sent(&reordered, 4), ["1000", "1002", "1001", "1003"]);
        let bad = Sockets { bad_json: Some(When::Every(1)), ..none };
        assert_eq!(sent(&bad, 1), ["10"]);
        assert_eq!(Outbox::default().pass(&bad, Out::Plain(json!(1000))), ["1000"]);
    }
}
