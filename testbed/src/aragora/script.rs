//! What happens in a debate and when: a fixed list of events, computed from its agents, rounds and pace, for the
//! state that is polled (`aragora/debates.rs`), for WebSockets (`websocket/talk.rs`) and for event streams.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::settings::Outcome;

/// The course of a debate.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) task: String,
    pub(crate) agents: Vec<String>,
    pub(crate) rounds: u32,
    /// Pieces in which each message comes as well.
    pub(crate) tokens: u32,
    pub(crate) start: Duration,
    pub(crate) gap: Duration,
    pub(crate) outcome: Outcome,
    /// Whether it never ends.
    pub(crate) stuck: bool,
}

/// An event without its time and its place in the world.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    pub(crate) round: u32,
    pub(crate) agent: Option<usize>,
    /// The number of the event among its agent's, from 1; 0 without an agent.
    pub(crate) agent_seq: u64,
    pub(crate) data: Value,
}

/// The status of an outcome.
pub(crate) fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Consensus => "consensus",
        Outcome::NoConsensus => "no_consensus",
        Outcome::Error => "error",
    }
}

impl Script {
    /// Events of one agent in one round: its message, and with it the pieces between a start and an end.
    fn per_agent(&self) -> u64 {
        if self.tokens == 0 { 1 } else { u64::from(self.tokens) + 3 }
    }

    /// Events of one round: its start, its agents', a critique and a vote.
    fn per_round(&self) -> u64 {
        3 + self.agents.len() as u64 * self.per_agent()
    }

    /// All events: the start, the rounds, the decision and the end.
    pub(crate) fn len(&self) -> u64 {
        3 + u64::from(self.rounds) * self.per_round()
    }

    /// Sets the pace so that the last event comes so long after the creation.
    pub(crate) fn take_in_all(&mut self, time: Duration) {
        self.start = self.start.min(time);
        let gaps = u32::try_from(self.len() - 1).unwrap_or(u32::MAX).max(1);
        self.gap = (time - self.start) / gaps;
    }

    /// When the event with this number, counted from 0, comes after the creation; nothing if it never does.
    pub(crate) fn at(&self, number: u64) -> Option<Duration> {
        let ends = if self.stuck { self.len() - 2 } else { self.len() };
        (number < ends).then(|| self.start + self.gap * u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// How many events have come so long after the creation.
    pub(crate) fn passed(&self, since: Duration) -> u64 {
        let ends = if self.stuck { self.len() - 2 } else { self.len() };
        let Some(running) = since.checked_sub(self.start) else { return 0 };
        match self.gap.as_nanos() {
            0 => ends,
            gap => ends.min(u64::try_from(running.as_nanos() / gap).unwrap_or(u64::MAX) + 1),
        }
    }

    /// Whether all has happened so long after the creation.
    pub(crate) fn is_over(&self, since: Duration) -> bool {
        self.at(self.len() - 1).is_some_and(|end| since >= end)
    }

    /// The end, if it ever comes.
    pub(crate) fn end(&self) -> Option<Duration> {
        self.at(self.len() - 1)
    }

    /// The status so long after the creation.
    pub(crate) fn status(&self, since: Duration) -> &'static str {
        if since < self.start {
            "starting"
        } else if self.is_over(since) {
            status(self.outcome)
        } else {
            "running"
        }
    }

    /// The round that has begun when so many events have come.
    pub(crate) fn round_of(&self, passed: u64) -> u32 {
        let in_rounds = passed.saturating_sub(1).div_ceil(self.per_round());
        u32::try_from(in_rounds).unwrap_or(u32::MAX).min(self.rounds)
    }

    /// The event with this number, counted from 0; the last one for greater numbers.
    pub(crate) fn event(&self, number: u64) -> Event {
        let plain = |kind, round, data| Event { kind, round, agent: None, agent_seq: 0, data };
        if number == 0 {
            let data = json!({"task": self.task, "agents": self.agents, "rounds": self.rounds});
            return plain("debate_start", 0, data);
        }
        let (round, place) = ((number - 1) / self.per_round(), (number - 1) % self.per_round());
        if round >= u64::from(self.rounds) {
            return self.ending(number);
        }
        let round_number = u32::try_from(round + 1).unwrap_or(u32::MAX);
        let turns = self.agents.len() as u64 * self.per_agent();
        match place {
            0 => plain("round_start", round_number, json!({"round": round_number})),
            place if place <= turns => self.turn(round, place - 1),
            place if place == turns + 1 => {
                let data = json!({"content": format!("critique of round {round_number}"), "severity": 0.5});
                plain("critique", round_number, data)
            }
            _ => plain("vote", round_number, json!({"choice": self.agents.first(), "confidence": 0.8})),
        }
    }

    fn turn(&self, round: u64, place: u64) -> Event {
        let (agent, step) = ((place / self.per_agent()) as usize, place % self.per_agent());
        let last = self.per_agent() - 1;
        let (kind, data) = match step {
            step if step == last => {
                ("agent_message", json!({"content": self.content(round, agent), "role": "proposer"}))
            }
            0 => ("token_start", json!({})),
            step if step == last - 1 => ("token_end", json!({})),
            step => ("token_delta", json!({"token": format!("piece {step} ")})),
        };
        let round_number = u32::try_from(round + 1).unwrap_or(u32::MAX);
        let agent_seq = round * self.per_agent() + step + 1;
        Event { kind, round: round_number, agent: Some(agent), agent_seq, data }
    }

    /// What an agent says in a round, counted from 0.
    fn content(&self, round: u64, agent: usize) -> String {
        let name = self.agents.get(agent).map_or("", String::as_str);
        format!("{name} in round {}: a position on {}", round + 1, self.task)
    }

    fn ending(&self, number: u64) -> Event {
        let decided = number + 2 == self.len();
        let (kind, data) = match (decided, self.outcome) {
            (true, Outcome::Error) => ("error", json!({"message": "the debate failed", "code": 500})),
            (true, outcome) => ("consensus", self.consensus(outcome)),
            (false, outcome) => ("debate_end", json!({"status": status(outcome), "rounds": self.rounds})),
        };
        Event { kind, round: self.rounds, agent: None, agent_seq: 0, data }
    }

    /// What is agreed on.
    pub(crate) fn consensus(&self, outcome: Outcome) -> Value {
        let reached = matches!(outcome, Outcome::Consensus | Outcome::Completed);
        let confidence = if reached { 0.9 } else { 0.4 };
        json!({"reached": reached, "confidence": confidence, "answer": format!("on {}", self.task)})
    }

    /// The agents' messages among the first events.
    pub(crate) fn messages(&self, passed: u64) -> Vec<Value> {
        let all = (0..u64::from(self.rounds))
            .flat_map(|round| (0..self.agents.len()).map(move |agent| (round, agent)));
        let number =
            |round: u64, agent: usize| 1 + round * self.per_round() + (agent as u64 + 1) * self.per_agent();
        all.take_while(|(round, agent)| number(*round, *agent) < passed)
            .map(|(round, agent)| {
                json!({
                    "agent": self.agents.get(agent),
                    "content": self.content(round, agent),
                    "round": round + 1,
                    "role": "proposer",
                })
            })
            .collect()
    }

    /// The agents' messages among the first events, counted.
    pub(crate) fn message_count(&self, passed: u64) -> u64 {
        let Some(in_rounds) = passed.checked_sub(1) else { return 0 };
        let (whole, rest) = (in_rounds / self.per_round(), in_rounds % self.per_round());
        let agents = self.agents.len() as u64;
        (whole * agents + (rest.saturating_sub(1) / self.per_agent()).min(agents))
            .min(u64::from(self.rounds) * agents)
    }
}

/// The event as it is sent: with its time, its number from 1 and the debate that it belongs to.
pub(crate) fn envelope(script: &Script, number: u64, debate: &str, timestamp: Value) -> Value {
    let event = script.event(number);
    let mut fields = Map::new();
    let agent = event.agent.and_then(|agent| script.agents.get(agent));
    for (name, value) in [
        ("type", json!(event.kind)),
        ("data", event.data),
        ("timestamp", timestamp),
        ("round", json!(event.round)),
        ("agent", json!(agent)),
        ("seq", json!(number + 1)),
        ("agent_seq", json!(event.agent_seq)),
        ("loop_id", json!(debate)),
        ("debate_id", json!(debate)),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(tokens: u32) -> Script {
        Script {
            task: "tea".into(),
            agents: vec!["a".into(), "b".into()],
            rounds: 2,
            tokens,
            start: Duration::from_millis(50),
            gap: Duration::from_millis(10),
            outcome: Outcome::NoConsensus,
            stuck: false,
        }
    }

    fn kinds(script: &Script) -> Vec<&'static str> {
        (0..script.len()).map(|number| script.event(number).kind).collect()
    }

    #[test]
    fn events_come_in_their_order() {
        let round = ["round_start", "agent_message", "agent_message", "critique", "vote"];
        let expected = [&["debate_start"][..], &round, &round, &["consensus", "debate_end"]].concat();
        assert_eq!(kinds(&script(0)), expected);
        let turn = ["token_start", "token_delta", "token_delta", "token_end", "agent_message"];
        assert_eq!(kinds(&script(2))[2..7], turn);
        assert_eq!(script(0).event(8).agent_seq, 2);
        let failed = Script { outcome: Outcome::Error, ..script(0) };
        assert_eq!(kinds(&failed)[11..], ["error", "debate_end"]);
    }

    #[test]
    fn the_state_follows_the_clock() {
        let script = script(0);
        let ms = Duration::from_millis;
        let status = [0, 49, 50, 169, 170].map(|at| script.status(ms(at)));
        assert_eq!(status, ["starting", "starting", "running", "running", "no_consensus"]);
        assert_eq!([49, 50, 59, 60, 170, 9999].map(|at| script.passed(ms(at))), [0, 1, 1, 2, 13, 13]);
        for passed in 0..=script.len() {
            let messages = script.messages(passed);
            assert_eq!(messages.len() as u64, script.message_count(passed), "{passed}");
            let begun =
                (0..passed).map(|number| script.event(number)).filter(|event| event.kind == "agent_message");
            assert_eq!(begun.count(), messages.len(), "{passed}");
        }
        assert_eq!([0, 1, 2, 6, 7, 13].map(|passed| script.round_of(passed)), [0, 0, 1, 1, 2, 2]);
        assert_eq!(script.at(12), Some(ms(170)));
        assert_eq!(script.at(13), None);
    }

    #[test]
    fn a_whole_time_is_kept_and_a_stuck_debate_never_ends() {
        let mut timed = script(0);
        timed.take_in_all(Duration::from_millis(650));
        assert_eq!(timed.end(), Some(Duration::from_millis(650)));
        let stuck = Script { stuck: true, ..script(0) };
        assert_eq!((stuck.end(), stuck.passed(Duration::from_secs(900))), (None, 11));
        assert_eq!(stuck.status(Duration::from_secs(900)), "running");
    }
}
