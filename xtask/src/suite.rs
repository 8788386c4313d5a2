//! `cargo xtask test`: everything that has to hold, in the order in which a failure is cheapest to see, and the time that
//! each part takes of what CI has for it.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::binaries::Profile;
use crate::cluster::Cluster;
use crate::{checks, generate, image, report, tools};

/// What to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only what needs neither tools nor a cluster.
    pub fast: bool,
    /// Leave the cluster up at the end.
    pub keep: bool,
    /// Only tests whose names contain this, and no other checks.
    pub filter: Option<String>,
}

/// The parts of the 90 minutes that a run in CI has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Tools,
    Rust,
    Tests,
}

/// Each part with its minutes; 15 more are in reserve.
const BUDGET: [(Part, &str, u64); 3] =
    [(Part::Tools, "tools", 25), (Part::Rust, "Rust", 22), (Part::Tests, "tests", 28)];
const RESERVE: u64 = 15;

/// How many tests of a real cluster run at once: they wait for the cluster, and for each other, and do little themselves.
const WAITING_TESTS: &str = "16";

/// Suites of tests that make no traffic and start no program, so that they take no time to speak of.
const AT_ONCE: [&str; 14] = [
    "--package=plimsoll-api",
    "--package=plimsoll-manifests",
    "--package=plimsoll-measure",
    "--package=plimsoll-slo",
    "--package=xtask",
    "--test=crds",
    "--test=golden",
    "--test=lower",
    "--test=read",
    "--test=status",
    "--test=recorder",
    "--test=judging",
    "--test=tidy",
    "--test=boundaries",
];

/// What happened so far.
struct Run {
    options: Options,
    steps: Vec<(Part, &'static str, Duration)>,
    closing: Vec<String>,
}

/// Runs the suite. The last thing it prints are the closing lines of the test runners.
///
/// # Errors
/// If something does not hold, or with `CI=true` if something would be skipped.
pub fn run(options: Options) -> Result<()> {
    let skipped = std::env::temp_dir().join(format!("plimsoll-skipped-{}", std::process::id()));
    let fast = options.fast;
    let mut run = Run { options, steps: Vec::new(), closing: Vec::new() };
    let result = if fast { fast_steps(&mut run, &skipped) } else { all_steps(&mut run, &skipped) };
    if !fast {
        print!("{}", table(&run.steps));
    }
    report::skipped().iter().for_each(|line| println!("{line}"));
    // Without a file no test was skipped.
    if let Ok(list) = std::fs::read_to_string(&skipped) {
        print!("{list}");
        std::fs::remove_file(&skipped)?;
    }
    result?;
    run.closing.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn fast_steps(run: &mut Run, skipped: &std::path::Path) -> Result<()> {
    if run.options.filter.is_none() {
        run.step(Part::Rust, "formatting", checks::format)?;
        run.step(Part::Rust, "lints", checks::lint)?;
    }
    let units = ["--workspace", "--exclude", "e2e", "--lib", "--bins"];
    run.test(Part::Tests, "unit tests", &units, skipped)?;
    run.test(Part::Tests, "tests that wait for nothing", &AT_ONCE, skipped)
}

fn all_steps(run: &mut Run, skipped: &std::path::Path) -> Result<()> {
    let everything = run.options.filter.is_none();
    run.step(Part::Tools, "tools", tools::install)?;
    if everything {
        run.step(Part::Rust, "formatting", checks::format)?;
        run.step(Part::Rust, "lints", checks::lint)?;
        run.step(Part::Rust, "dependencies", checks::dependencies)?;
        run.step(Part::Rust, "generated files", generate::check)?;
    }
    run.test(Part::Tests, "tests without a cluster", &["--workspace", "--exclude", "e2e"], skipped)?;
    if let Err(why) = Cluster::possible() {
        return report::skip("tests on a real cluster (e2e)", &format!("{why:#}"));
    }
    let was_up = Cluster::find().is_ok();
    run.step(Part::Rust, "release build, images", || image::all(Profile::Release))?;
    let tested = run
        .step(Part::Tests, "cluster up", || {
            let cluster = Cluster::up()?;
            if cluster.is_own() { image::import(&cluster) } else { Ok(()) }
        })
        .and_then(|()| run.test(Part::Tests, "tests on a real cluster", &["--package", "e2e"], skipped));
    if !was_up && !run.options.keep {
        run.step(Part::Tests, "cluster down", Cluster::down)?;
    }
    tested
}

impl Run {
    fn step(&mut self, part: Part, what: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n--- {what}");
        let start = Instant::now();
        let result = work().with_context(|| format!("{what} failed"));
        self.steps.push((part, what, start.elapsed()));
        result
    }

    /// Runs `cargo test` and keeps its closing lines.
    fn test(
        &mut self,
        part: Part,
        what: &'static str,
        packages: &[&str],
        skipped: &std::path::Path,
    ) -> Result<()> {
        let mut cargo = checks::cargo();
        cargo.arg("test").args(packages).env(report::SKIPPED_LIST, skipped);
        if packages.contains(&"e2e") && !packages.contains(&"--exclude") {
            cargo.env("RUST_TEST_THREADS", WAITING_TESTS);
        }
        if std::io::stdout().is_terminal() {
            cargo.env("CARGO_TERM_COLOR", "always");
        }
        if let Some(filter) = &self.options.filter {
            cargo.args(["--", filter]);
        }
        let mut closing = Vec::new();
        let result = self.step(part, what, || {
            closing = follow(&mut cargo)?;
            Ok(())
        });
        self.closing.extend(closing);
        result
    }
}

/// Runs a command, shows what it prints, and returns the closing lines of test runners among that.
fn follow(command: &mut Command) -> Result<Vec<String>> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("start cargo")?;
    let Some(stdout) = child.stdout.take() else { bail!("cargo has no standard output") };
    let mut closing = Vec::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        // A crate without tests has nothing to close on.
        if line.starts_with("test result: ") && !line.contains(" 0 passed; 0 failed;") {
            closing.push(line.into_owned());
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo test ended with {status}");
    }
    Ok(closing)
}

fn table(steps: &[(Part, &'static str, Duration)]) -> String {
    use std::fmt::Write;
    let mut text = format!("\n{:<28}{:>10}{:>10}\n", "step", "time", "budget");
    let mut total = Duration::ZERO;
    for (part, name, minutes) in BUDGET {
        let own = steps.iter().filter(|(step, ..)| *step == part);
        let sum: Duration = own.clone().map(|(.., time)| *time).sum();
        total += sum;
        let over = if sum > Duration::from_secs(60 * minutes) { "  over budget" } else { "" };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name:<28}{:>10}{:>10}{over}", report::seconds(sum), format!("{minutes}m"));
        for (_, what, time) in own {
            let _ = writeln!(text, "  {what:<26}{:>10}", report::seconds(*time));
        }
    }
    let budget = BUDGET.iter().map(|(.., minutes)| minutes).sum::<u64>() + RESERVE;
    let _ = writeln!(text, "{:<28}{:>10}{:>10}", "all", report::seconds(total), format!("{budget}m"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_adds_up_and_names_what_is_over_its_budget() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let table = table(&[(Part::Tools, "tools", minutes(26)), (Part::Rust, "lints", minutes(2))]);
        let tools = table.lines().find(|line| line.starts_with("tools")).unwrap();
        assert!(tools.contains("26m00s") && tools.ends_with("over budget"), "{table}");
        assert!(
            table
                .lines()
                .any(|line| line.starts_with("all") && line.contains("28m00s") && line.ends_with("90m"))
        );
    }

    #[test]
    fn closing_lines_are_kept() {
        let script = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; echo 'test result: ok. 0 passed; 0 failed; 0 ignored'";
        let closing = follow(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(closing, ["test result: ok. 3 passed; 0 failed; 0 ignored"]);
        assert!(follow(Command::new("sh").args(["-c", "exit 101"])).is_err());
    }
}
