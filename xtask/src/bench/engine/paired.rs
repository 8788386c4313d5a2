//! Clients that do their work in turn, round after round, so that all of them see the same machine; ratios are taken within a round.
//! Who they are is in `rows.rs`.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::Bench;
use super::clients::{Client, Who};
use super::measure::{Measured, asked_seconds, measure};
use crate::report;

/// What the clients of one row did.
#[derive(Debug, Clone)]
pub(super) struct Paired {
    pub(super) row: &'static str,
    /// The clients by name, in their order, with a measurement of each round.
    pub(super) clients: Vec<(String, Vec<Measured>)>,
}

impl Paired {
    /// A value of every round of a client; nothing if it took no part.
    pub(super) fn values(&self, client: &str, value: fn(&Measured) -> f64) -> Option<Vec<f64>> {
        let (_, rounds) = self.clients.iter().find(|(name, _)| name == client)?;
        (!rounds.is_empty()).then(|| rounds.iter().map(value).collect())
    }

    /// The CPU per request of one client as a multiple of another's, in each round.
    pub(super) fn ratios(&self, of: &str, to: &str) -> Option<Vec<f64>> {
        let (of, to) = (self.values(of, Measured::total)?, self.values(to, Measured::total)?);
        Some(of.iter().zip(&to).map(|(of, to)| of / to).collect())
    }

    /// Every measurement as a line of the file of results.
    pub(super) fn json(&self) -> Vec<Value> {
        let rounds = |(name, rounds): &(String, Vec<Measured>)| -> Vec<Value> {
            let lines = rounds.iter().enumerate().map(|(round, measured)| {
                json!({
                    "row": self.row, "client": name, "round": round + 1, "requests": measured.requests,
                    "seconds": measured.seconds, "userMicros": measured.user, "systemMicros": measured.system,
                    "clientCore": measured.client_core, "serverCore": measured.server_core, "stolen": measured.stolen,
                })
            });
            lines.collect()
        };
        self.clients.iter().flat_map(rounds).collect()
    }
}

/// Lets the clients do their work in turn. One of somebody else's that cannot do it is named and left out; ours must.
pub(super) fn turns(bench: &Bench, row: &'static str, clients: Vec<Client>) -> Result<Paired> {
    let mut taking: Vec<(Client, Vec<Measured>)> =
        clients.into_iter().map(|client| (client, Vec::new())).collect();
    let rounds = bench.options.alternations;
    for round in 1..=rounds {
        // Everyone is first once in a while: what a round does to the machine meets all alike.
        let first = round as usize % taking.len().max(1);
        taking.rotate_left(first);
        let mut failed = Vec::new();
        for (client, measured) in &mut taking {
            match turn(bench, row, client, round) {
                Ok(done) => measured.push(done),
                Err(why) if matches!(client.who, Who::Peer(_)) => {
                    report::allowed_skip(&format!("{} in {row}", client.name), &format!("{why:#}"));
                    failed.push(client.name.clone());
                }
                Err(why) => return Err(why.context(format!("{} in {row}, round {round}", client.name))),
            }
        }
        taking.rotate_right(first);
        taking.retain(|(client, _)| !failed.contains(&client.name));
        let told = taking.iter().filter_map(|(client, measured)| {
            let last = measured.last()?;
            Some(format!("{} {:.0}/s {:.2}+{:.2} µs", client.name, last.rate(), last.user, last.system))
        });
        println!("    {row} {round} of {rounds}: {}", told.collect::<Vec<_>>().join(", "));
    }
    let clients = taking.into_iter().map(|(client, measured)| (client.name, measured)).collect();
    Ok(Paired { row, clients })
}

fn turn(bench: &Bench, row: &str, client: &Client, round: u32) -> Result<Measured> {
    let stretch = bench.options.stretch;
    let log = bench.log(&format!("{row}-{}-{round}", client.name));
    let mut command = client.command(&bench.server, asked_seconds(stretch), &bench.folder)?;
    let measured = measure(&bench.server, client.work.counter(), &mut command, stretch, &log)?;
    if measured.requests == 0 {
        bail!("the server counted no request of it in {stretch:?}");
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(user: f64, system: f64) -> Measured {
        let (client_core, server_core, stolen) = (1.0, 0.5, 0.0);
        Measured { requests: 10, seconds: 1.0, user, system, client_core, server_core, stolen }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ours = vec![measured(1.0, 1.0), measured(2.0, 2.0)];
        let wrk = vec![measured(1.0, 3.0), measured(4.0, 4.0)];
        let clients =
            vec![("plimsoll".to_owned(), ours), ("wrk".to_owned(), wrk), ("oha".to_owned(), vec![])];
        let paired = Paired { row: "static", clients };
        assert_eq!(paired.ratios("plimsoll", "wrk"), Some(vec![0.5, 0.5]));
        assert_eq!(paired.ratios("plimsoll", "oha"), None);
        assert_eq!(paired.ratios("plimsoll", "k6"), None);
        assert_eq!(paired.json().len(), 4);
        assert_eq!(paired.json()[1]["round"], 2);
    }
}
