//! Shows what `mod.rs` measured: the clients of each row beside each other, the figures beside their goals, and both as JSON lines.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::figure::Figure;
use super::interval::{Interval, interval};
use super::measure::Measured;
use super::paired::Paired;
use super::rows::is_server_bound;
use crate::bench::figures::Table;

/// Two digits behind the point, or none where they would say nothing.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn shown(value: Option<&Interval>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |Interval { median, low, high, .. }| {
            if low == high {
                number(*median)
            } else {
                format!("{} ({} – {})", number(*median), number(*low), number(*high))
            }
        },
    )
}

/// Every client of every row.
pub(super) fn clients(rows: &[Paired]) {
    let mut table = Table::default();
    table.row(
        [
            "row",
            "client",
            "rate, 1/s",
            "user, µs",
            "system, µs",
            "total, µs",
            "client's core",
            "server's core",
            "",
        ]
        .map(str::to_owned),
    );
    for row in rows {
        for (client, rounds) in &row.clients {
            let of = |value: fn(&Measured) -> f64| interval(rounds.iter().map(value));
            let core = |value: Option<Interval>| {
                value.map_or_else(|| "-".to_owned(), |share| format!("{:.0}%", share.median * 100.0))
            };
            let server = of(|measured| measured.server_core);
            let bound = server.is_some_and(|share| is_server_bound(share.median));
            table.row([
                row.row.to_owned(),
                client.clone(),
                shown(of(Measured::rate).as_ref()),
                shown(of(|measured| measured.user).as_ref()),
                shown(of(|measured| measured.system).as_ref()),
                shown(of(Measured::total).as_ref()),
                core(of(|measured| measured.client_core)),
                core(server),
                if bound { "server-bound: its rate says nothing of it".to_owned() } else { String::new() },
            ]);
        }
    }
    if !rows.is_empty() {
        println!("\nCPU of the client's process per request; medians with intervals\n\n{}", table.text());
    }
    let stolen = rows.iter().flat_map(|row| &row.clients).flat_map(|(_, rounds)| rounds);
    let stolen = stolen.map(|measured| measured.stolen).fold(0.0, f64::max);
    if stolen > 0.02 {
        println!(
            "up to {:.0}% of a round was taken from this machine by others: measure again",
            stolen * 100.0
        );
    }
}

/// Every figure with its goal.
pub(super) fn figures(figures: &[Figure]) {
    let mut table = Table::default();
    table.row(["row", "figure", "median (interval)", "", "goal", "", "note"].map(str::to_owned));
    for figure in figures {
        table.row([
            figure.row.to_owned(),
            figure.what.clone(),
            shown(figure.value.as_ref()),
            figure.unit.to_owned(),
            figure.goal.map(|goal| format!("≤ {goal}")).unwrap_or_default(),
            figure.judgement().to_owned(),
            figure.note.clone(),
        ]);
    }
    println!("\n{}", table.text());
    let least = figures.iter().filter_map(|figure| figure.value).filter(|value| value.n > 1);
    let least = least.map(|value| value.confidence).min_by(f64::total_cmp);
    if let Some(least) = least {
        println!("Intervals hold the true median with a probability of at least {:.0}%.", least * 100.0);
    }
}

/// Writes everything as JSON, one object a line.
pub(super) fn file(path: &Path, about: &Value, rows: &[Paired], figures: &[Figure]) -> Result<()> {
    let measured = rows.iter().flat_map(Paired::json).map(|line| json!({"measured": line}));
    let figures = figures.iter().map(Figure::json);
    let lines = [about.clone()].into_iter().chain(measured).chain(figures);
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    println!("All of it as JSON lines: {}", path.display());
    Ok(())
}

/// Figures of a peer that this project does not bring, measured apart.
pub(super) const APART: &str = "
For comparison where k6 is not measured: on such a machine (2 cores, November 2026) it made 9 000 – 14 000 static requests a second on 50
connections from one core, at 73 µs of CPU each.
";
