//! Prints what `cluster.rs` measured: each figure beside the floor and the goal.

use super::cluster::{Floor, Measured, Options};
use super::figures::{Spread, Table, line, shown, spread};

/// A goal beside a figure: whether it holds.
fn goal(text: &str, holds: bool) -> String {
    format!("{text} {}", if holds { "(held)" } else { "(MISSED)" })
}

/// A row of the table: what, floor, own, over the floor, goal; by what it is about and then by workers.
type Row = (usize, u32, [String; 5]);

pub(super) fn figures(options: &Options, floors: &[Floor], measured: &[Measured]) {
    let rows = options.workers.iter().flat_map(|&workers| {
        let floors: Vec<&Floor> = floors.iter().filter(|run| run.workers == workers).collect();
        let runs: Vec<&Measured> = measured.iter().filter(|run| run.workers == workers).collect();
        rows(options, workers, &floors, &runs)
    });
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by_key(|(about, workers, _)| (*about, *workers));
    let mut table = Table::default();
    table.row(
        ["least / median / most", "workers", "floor", "plimsoll", "median over the floor", "goal"]
            .map(str::to_owned),
    );
    for (_, workers, [what, floor, own, over, goal]) in rows {
        table.row([what, workers.to_string(), floor, own, over, goal]);
    }
    println!("\n{}", table.text());
    let exact = measured.iter().filter(|run| run.exact).count();
    println!("sent equals the lines of nginx' log in {exact} of {} runs", measured.len());
    for run in measured.iter().filter(|run| !run.outcome.starts_with("Passed")) {
        println!("workers: {}, {} s: {}", run.workers, run.seconds, run.outcome);
    }
}

fn rows(options: &Options, workers: u32, floors: &[&Floor], runs: &[&Measured]) -> Vec<Row> {
    let floor = |value: fn(&Floor) -> f64| spread(floors.iter().map(|run| value(run)));
    let all = |value: fn(&Measured) -> f64| spread(runs.iter().map(|run| value(run)));
    let short = |value: fn(&Measured) -> f64| {
        spread(runs.iter().filter(|run| run.seconds == options.seconds).map(|run| value(run)))
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut row = |what: &str, floor: String, own: String, over: String, goal: String| {
        rows.push((rows.len(), workers, [what.to_owned(), floor, own, over, goal]));
    };
    let none = String::new;
    let (base, own) = (floor(|run| run.first), short(|run| run.first));
    let over = base.zip(own).map_or(f64::INFINITY, |(base, own)| own.median - base.median);
    row(
        "apply to first request, s",
        shown(base, 2),
        shown(own, 2),
        format!("{over:+.2}"),
        goal("≤ +1 s", over <= 1.0),
    );
    // The barrier waits for the last pod, the floor's first pod for nobody.
    let (base, own) = (floor(|run| run.all), short(|run| run.all));
    let over = base.zip(own).map_or(f64::INFINITY, |(base, own)| own.median - base.median);
    row("apply to a request of every pod, s", shown(base, 2), shown(own, 2), format!("{over:+.2}"), none());
    // One worker alone has no skew.
    let skew = all(|run| run.skew);
    let held = skew.map(|skew: Spread| goal("≤ 10 ms", skew.max <= 10.0)).unwrap_or_default();
    row("start skew by the status, ms", none(), shown(skew, 1), none(), held);
    let (base, own) = (floor(|run| run.apart), all(|run| run.apart));
    row("first requests apart by nginx, ms", shown(base, 0), shown(own, 0), none(), none());
    let verdict = all(|run| run.verdict);
    let held = goal("≤ 1 s", verdict.is_some_and(|verdict| verdict.median <= 1.0));
    row("last request to verdict, s", none(), shown(verdict, 2), none(), held);
    let objects = all(|run| run.objects.0 as f64);
    let held = goal("3", objects.is_some_and(|objects| objects.max == 3.0));
    row("objects beside the pods", none(), shown(objects, 0), none(), held);
    row("pods", none(), shown(all(|run| run.objects.1 as f64), 0), none(), none());
    let writes = shown(short(|run| run.writes.stored() as f64), 0);
    row(&format!("writes of the operator in {} s", options.seconds), none(), writes, none(), none());
    let reviews = shown(all(|run| run.writes.reviews as f64), 0);
    row("token reviews, which store nothing", none(), reviews, none(), none());
    rows
}

pub(super) fn writes(measured: &[Measured]) {
    let points = |of: &dyn Fn(&Measured) -> bool| -> Vec<(f64, f64)> {
        let taken = measured.iter().filter(|run| of(run));
        taken.map(|run| (f64::from(run.seconds) / 5.0, run.writes.stored() as f64)).collect()
    };
    let mut workers: Vec<u32> = measured.iter().map(|run| run.workers).collect();
    workers.sort_unstable();
    workers.dedup();
    println!(
        "\nwrites of the operator = a + b·(seconds/5), by least squares (goal: independent of the workers):"
    );
    let fit = |name: String, points: Vec<(f64, f64)>| {
        if let Some((a, b, off)) = line(&points) {
            println!("  {name:<12} a = {a:.1}, b = {b:.1}, no run is more than {off:.1} off");
        }
    };
    for count in workers {
        fit(format!("workers: {count}"), points(&|run| run.workers == count));
    }
    fit("all".to_owned(), points(&|_| true));
    if let Some(run) = measured.last() {
        let kinds: Vec<String> =
            run.writes.by_kind.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        println!("  of the last run (workers: {}, {} s): {}", run.workers, run.seconds, kinds.join(", "));
    }
}

pub(super) fn memory(idle: &[(f64, f64)], busy: &[(f64, f64)]) {
    let shown =
        |of: &[(f64, f64)]| of.iter().map(|(now, _)| format!("{now:.1}")).collect::<Vec<_>>().join(" and ");
    let most = busy.iter().map(|(_, most)| *most).fold(0.0, f64::max);
    println!("\nresident memory of the operator, leader and follower, MiB (goal: ≤ 25):");
    println!(
        "  before the runs {}, after them {}, at most {most:.1} {}",
        shown(idle),
        shown(busy),
        goal("", most <= 25.0).trim()
    );
}

/// Figures of a peer that cannot be run here by the way.
pub(super) const PEER: &str = "
For comparison, measured apart: k6-operator v1.6.0 with k6 1.8.1 on such a cluster (2 cores of an AMD EPYC, 2026-11-23), 20 users, 15 s;
least / median / most of 3 runs
  workers                      1                      4                       8
  apply to first request, s    5.16 / 5.29 / 5.30     3.92 / 6.11 / 15.96     8.92 / 11.64 / 17.53
  start skew, s                -                      0.29 / 0.31 / 0.39      0.69 / 0.71 / 0.80
  last request to finished, s  2.64 / 2.80 / 2.85     2.53 / 2.93 / 2.94      2.46 / 2.74 / 3.33
  writes of the operator       13 / 13 / 13           18 / 19 / 20            26 / 27 / 27
  operator's memory, MiB       41.6 idle, 49.8 at most
";
