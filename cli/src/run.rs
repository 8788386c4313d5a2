//! `plimsoll run`: every test of the input, one after the other, judged as the operator would, and reported.

mod display;
mod drive;
mod output;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use plimsoll_api::status::report;
use plimsoll_api::{Resolved, read_with, spec_hash, to_yaml};
use plimsoll_slo::{Facts, Judgement, Reason, Verdict, judge};
use plimsoll_testbed::{Config, Testbed};

use crate::args::{Output, RunArgs};
use crate::exit::Exit;
use crate::input::{Asked, Input, Refused, load, sets};
use crate::out::print;
use crate::{quick, render};
use display::Display;
use drive::{Interrupts, Job, Outcome};
use output::Finished;

/// How long the testbed may take to end.
const TESTBED_GRACE: Duration = Duration::from_secs(1);

/// Runs the tests of the command line; the worst verdict is the exit code.
pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let mut input = match &args.quick.url {
        Some(url) => {
            let manifest = to_yaml(&quick::manifest(url, &args.quick))?;
            if args.quick.print_manifest {
                print(&manifest)?;
                return Ok(Exit::Passed);
            }
            let mut input = Input::default();
            let documents = read_with("--url", &manifest, &sets(&args.input)?).map_err(Refused)?;
            documents.into_iter().for_each(|document| input.take(document));
            input
        }
        None => load(&args.input)?,
    };
    for flag in &args.secrets {
        input.values.add_flag(flag)?;
    }
    let mut display = Display::new(args.quiet);
    let testbed = args.testbed.then(|| start_testbed(&mut input, &mut display)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(run_all(&input, args, &mut display));
    if let Some(testbed) = testbed {
        testbed.shutdown(TESTBED_GRACE);
    }
    exit
}

/// Starts the stand-in and points every test and run at it; the path of the target stays.
fn start_testbed(input: &mut Input, display: &mut Display) -> Result<Testbed> {
    let testbed = Testbed::start(Config::default()).context("the testbed did not start")?;
    let url = testbed.url();
    display.say(&format!("testbed listening on {url}"));
    input.send_to(|target| {
        let rest = target.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find(['/', '?']).map_or("", |at| &rest[at..]);
        *target = format!("{}{path}", url.trim_end_matches('/'));
    });
    input.tests.iter_mut().for_each(|(test, _)| test.spec.target.tls = None);
    Ok(testbed)
}

async fn run_all(input: &Input, args: &RunArgs, display: &mut Display) -> Result<Exit> {
    let asked = input.asked()?;
    // All tests are checked before the first one sends anything.
    let mut jobs = Vec::new();
    let mut problems = Vec::new();
    for asked in asked {
        match asked.lower(&input.references) {
            Ok(resolved) => jobs.push((asked, resolved)),
            Err(errors) => problems.extend(asked.refused(&errors).0),
        }
    }
    if !problems.is_empty() {
        return Err(Refused(problems).into());
    }
    let mut interrupts = Interrupts::new()?;
    let mut worst = Exit::Passed;
    let mut jobs = jobs.into_iter();
    while let Some((asked, resolved)) = jobs.next() {
        let (exit, interrupted) = run_one(&asked, resolved, input, args, display, &mut interrupts).await?;
        worst = worst.max(exit);
        if interrupted {
            jobs.for_each(|(asked, _)| display.say(&format!("{}: not run, since interrupted", asked.name())));
            break;
        }
    }
    Ok(worst)
}

/// Runs a test and prints what came of it: the exit code, and whether somebody interrupted it.
async fn run_one(
    asked: &Asked<'_>,
    mut resolved: Resolved,
    input: &Input,
    args: &RunArgs,
    display: &mut Display,
    interrupts: &mut Interrupts,
) -> Result<(Exit, bool)> {
    // In one process the threads share the load; more than one worker would only cut it.
    resolved.plan.workers = 1;
    for notice in &resolved.notices {
        display.say(&format!("{}: {notice}", asked.name()));
    }
    let queued = SystemTime::now();
    let outcome = match input.values.materials(&resolved.plan) {
        Ok(materials) => {
            let plan = Arc::new(resolved.plan.clone());
            let job = Job {
                plan: Arc::clone(&plan),
                slos: &resolved.slos,
                validity: &resolved.validity,
                materials,
                threads: args.threads.map(usize::from),
            };
            let (slos, validity) = (&resolved.slos, &resolved.validity);
            let show = |now: drive::Now<'_>| display.show(asked.name(), &plan, slos, validity, &now);
            drive::drive(job, interrupts, show).await?
        }
        Err(missing) => Some(could_not_run(&resolved, missing.to_string())),
    };
    display.clear();
    let Some(outcome) = outcome else { return Ok((Exit::Interrupted, true)) };
    let judgement = judged(&resolved, &outcome);
    let exit = judgement.verdict.into();
    let hash = spec_hash(&asked.test.spec);
    let run = render::run_of(asked, &resolved);
    let Finished { run, result } = output::finished(run, &resolved, &outcome, &judgement, queued, hash)?;
    match args.output {
        Output::Text => print(&coloured(&report(&result), judgement.verdict)),
        Output::Json => print(&(serde_json::to_string_pretty(&run)? + "\n")),
        Output::Yaml => print(&format!("---\n{}", to_yaml(&run)?)),
    }?;
    Ok((exit, outcome.facts.stopped == Some(Reason::Cancelled)))
}

/// Colours the verdict, the report's first word, on a terminal.
fn coloured(report: &str, verdict: Verdict) -> String {
    let Some(rest) = report.strip_prefix(&format!("{verdict:?}")) else { return report.to_owned() };
    if !std::io::stdout().is_terminal() {
        return report.to_owned();
    }
    let colour = match verdict {
        Verdict::Passed => 32,
        Verdict::Failed | Verdict::Error => 31,
        Verdict::Inconclusive => 33,
    };
    format!("\x1b[1;{colour}m{verdict:?}\x1b[0m{rest}")
}

fn judged(resolved: &Resolved, outcome: &Outcome) -> Judgement {
    let Resolved { slos, validity, plan, .. } = resolved;
    let mut judgement = judge(slos, validity, &plan.layout, &outcome.merged, &outcome.facts);
    if let Some(fault) = &outcome.fault {
        judgement.message = format!("{}; {fault}", judgement.message);
    }
    judgement
}

fn could_not_run(resolved: &Resolved, message: String) -> Outcome {
    let facts = Facts {
        workers: resolved.plan.workers,
        error: Some((Reason::InvalidReference, message)),
        ..Facts::default()
    };
    Outcome { merged: Arc::default(), facts, started: None, fault: None }
}
