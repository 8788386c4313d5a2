//! Latency laws and selections: fixed sequences, never random draws, so that two runs of one test see the
//! same server. `table.rs` compiles them with their routes; `plan.rs` reads them per request.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest delay that a law or a fault may ask for, in milliseconds: ten minutes.
const MAX_DELAY_MS: f64 = 600_000.0;

/// The longest cycle of a law, in requests.
const MAX_CYCLE: u64 = 1_000_000;

/// How long the requests of a route take, in milliseconds, as a cycle over the route's requests.
///
/// In JSON: `20`, or `[20, 20, 200]` taken in this order, or `[{"ms": 20, "times": 94}, {"ms": 200, "times": 6}]`
/// spread evenly over a cycle of one hundred requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a latency is a number of milliseconds, a list of numbers, or a list of {ms, times}"
)]
pub enum Latency {
    /// Every request takes as long.
    Constant(f64),
    /// The n-th request takes the n-th delay; after the last comes the first.
    Sequence(Vec<f64>),
    /// Each delay so many times in a cycle, spread evenly: the j-th of its occurrences stands at
    /// (j + ½) / times of the cycle; at equal places the earlier entry comes first.
    Spread(Vec<Share>),
}

/// One delay of a spread law and how often it occurs in a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The delay in milliseconds.
    pub ms: f64,
    /// Occurrences in one cycle.
    pub times: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Latency::Constant(0.0)
    }
}

impl Latency {
    /// A spread law from pairs of milliseconds and occurrences.
    pub fn spread(shares: impl IntoIterator<Item = (f64, u32)>) -> Self {
        Latency::Spread(shares.into_iter().map(|(ms, times)| Share { ms, times }).collect())
    }

    /// One cycle of the law, request by request. The error says what is wrong with it.
    pub(crate) fn cycle(&self) -> Result<Box<[Duration]>, String> {
        let cycle: Vec<Duration> = match self {
            Latency::Constant(ms) => vec![delay(*ms)?],
            Latency::Sequence(list) => list.iter().map(|ms| delay(*ms)).collect::<Result<_, _>>()?,
            Latency::Spread(shares) => spread(shares)?,
        };
        if cycle.is_empty() {
            return Err("the law is empty; give at least one delay in milliseconds".into());
        }
        if cycle.len() as u64 > MAX_CYCLE {
            return Err(format!("the law has {} delays; {MAX_CYCLE} is the most", cycle.len()));
        }
        Ok(cycle.into())
    }
}

/// Lays the shares out evenly over one cycle.
fn spread(shares: &[Share]) -> Result<Vec<Duration>, String> {
    let total: u64 = shares.iter().map(|share| u64::from(share.times)).sum();
    if total > MAX_CYCLE {
        return Err(format!("the law has a cycle of {total} requests; {MAX_CYCLE} is the most"));
    }
    // Places are the fractions (2j + 1) / 2·times, compared by cross multiplication, so no rounding decides.
    let mut places = Vec::new();
    for share in shares {
        let wait = delay(share.ms)?;
        places.extend((0..share.times).map(|j| (2 * u64::from(j) + 1, u64::from(share.times), wait)));
    }
    places.sort_by(|(a, a_times, _), (b, b_times, _)| (a * b_times).cmp(&(b * a_times)));
    Ok(places.into_iter().map(|(_, _, wait)| wait).collect())
}

/// Milliseconds as a duration, if they are within 0 and ten minutes.
pub(crate) fn delay(ms: f64) -> Result<Duration, String> {
    if !(0.0..=MAX_DELAY_MS).contains(&ms) {
        return Err(format!("{ms} ms is not a delay; use 0 to {MAX_DELAY_MS} milliseconds"));
    }
    Ok(Duration::from_nanos((ms * 1e6).round() as u64))
}

/// Which requests of a sequence are meant; requests count from the first one after the start or the last reset.
///
/// In JSON: `{"every": 10}`, `{"after": 100}`, `{"first": 5}` or `{"rate": 0.3}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// The k-th, the 2k-th, the 3k-th request and so on.
    Every(u64),
    /// All requests but the first n.
    After(u64),
    /// The first n requests.
    First(u64),
    /// This share of the requests, between 0 and 1, spread evenly; exact to a millionth.
    Rate(f64),
}

impl When {
    /// Whether the request with this number, counted from 0, is meant.
    pub(crate) fn hits(self, number: u64) -> bool {
        match self {
            When::Every(k) => number.wrapping_add(1).is_multiple_of(k),
            When::After(n) => number >= n,
            When::First(n) => number < n,
            When::Rate(rate) => {
                let millionths = (rate * 1e6).round() as u64;
                let owed = |requests: u64| requests.saturating_mul(millionths) / 1_000_000;
                owed(number + 1) > owed(number)
            }
        }
    }

    /// Says what is wrong with the selection, if anything is.
    pub(crate) fn check(self) -> Result<(), String> {
        match self {
            When::Every(0) => Err("every 0 requests selects nothing; use 1 or more".into()),
            When::Rate(rate) if !(0.0..=1.0).contains(&rate) => {
                Err(format!("{rate} is not a share; use a number from 0 to 1"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(law: &Latency) -> Vec<f64> {
        law.cycle().unwrap().iter().map(|wait| wait.as_secs_f64() * 1e3).collect()
    }

    #[test]
    fn a_spread_law_keeps_its_counts_and_its_distances() {
        let cycle = ms(&Latency::spread([(20.0, 94), (200.0, 6)]));
        assert_eq!(cycle.len(), 100);
        let slow: Vec<usize> = (0..100).filter(|i| cycle[*i] == 200.0).collect();
        assert_eq!(slow.len(), 6);
        for pair in slow.windows(2) {
            assert!((16..=18).contains(&(pair[1] - pair[0])), "{slow:?}");
        }
        assert_eq!(ms(&Latency::spread([(1.0, 2), (2.0, 2)])), [1.0, 2.0, 1.0, 2.0]);
        assert_eq!(ms(&Latency::spread([(1.0, 3), (9.0, 1)])), [1.0, 1.0, 9.0, 1.0]);
    }

    #[test]
    fn the_three_spellings_are_read_and_anything_else_is_explained() {
        let read = |text: &str| serde_json::from_str::<Latency>(text);
        assert_eq!(ms(&read("2.5").unwrap()), [2.5]);
        assert_eq!(ms(&read("[20, 20, 200]").unwrap()), [20.0, 20.0, 200.0]);
        assert_eq!(ms(&read(r#"[{"ms": 1, "times": 2}]"#).unwrap()), [1.0, 1.0]);
        let error = read(r#"{"ms": 1}"#).unwrap_err().to_string();
        assert!(error.contains("list of {ms, times}"), "{error}");
    }

    #[test]
    fn impossible_laws_are_refused() {
        for law in [
            Latency::Constant(-1.0),
            Latency::Constant(f64::NAN),
            Latency::Constant(600_001.0),
            Latency::Sequence(vec![]),
            Latency::spread([(1.0, 0)]),
            Latency::spread([(1.0, u32::MAX)]),
        ] {
            assert!(law.cycle().is_err(), "{law:?}");
        }
    }

    #[test]
    fn selections_hit_what_they_say() {
        let hits = |when: When| (0..10).filter(|n| when.hits(*n)).collect::<Vec<u64>>();
        assert_eq!(hits(When::Every(4)), [3, 7]);
        assert_eq!(hits(When::After(8)), [8, 9]);
        assert_eq!(hits(When::First(2)), [0, 1]);
        assert_eq!(hits(When::Rate(0.3)), [3, 6, 9]);
        assert!(hits(When::Rate(0.0)).is_empty());
        assert_eq!(hits(When::Rate(1.0)).len(), 10);
        assert_eq!((0..1_000_000).filter(|n| When::Rate(0.123_456).hits(*n)).count(), 123_456);
        assert!(When::Every(0).check().is_err() && When::Rate(1.1).check().is_err());
    }
}
