//! `plimsoll run`: every test of the input, one after the other, judged as the operator would, and reported.

mod display;
mod drive;
mod export;
mod output;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use plimsoll_api::status::{report, validation_report};
use plimsoll_api::{GoDuration, Resolved, questions, read_with, spec_hash, to_yaml};
use plimsoll_measure::Gauges;
use plimsoll_slo::{Facts, Judgement, Kind, Reason, Verdict, judge, text};
use plimsoll_testbed::{Config, Testbed};

use crate::args::{Output, RunArgs};
use crate::exit::Exit;
use crate::input::{Asked, Input, Refused, changes, load};
use crate::out::print;
use crate::prometheus::Prometheus;
use crate::ui::Ui;
use crate::{quick, render};
use display::Display;
use drive::{Inquiry, Interrupts, Job, Outcome};
use export::{Export, Glimpse};
use output::{Finished, Moment, Results};

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
            let documents = read_with("--url", &manifest, &changes(&args.input)?).map_err(Refused)?;
            documents.into_iter().for_each(|document| input.take(document));
            input
        }
        None => load(&args.input)?,
    };
    for flag in &args.secrets {
        input.values.add_flag(flag)?;
    }
    let mut display = Display::new(args.quiet);
    let testbed = args.testbed.then(|| start_testbed(&mut input, |line| display.say(&line))).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(run_all(&input, args, &mut display));
    if let Some(testbed) = testbed {
        testbed.shutdown(TESTBED_GRACE);
    }
    exit
}

/// Starts the stand-in and points every test and run at it; the path of the target stays.
pub(crate) fn start_testbed(input: &mut Input, mut say: impl FnMut(String)) -> Result<Testbed> {
    let testbed = Testbed::start(Config::default()).context("the testbed did not start")?;
    let url = testbed.url();
    say(format!("testbed listening on {url}"));
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
    let mut outlets = Outlets::open(args, display).await?;
    let mut interrupts = Interrupts::new()?;
    let mut worst = Exit::Passed;
    let mut jobs = jobs.into_iter();
    while let Some((asked, resolved)) = jobs.next() {
        let (exit, interrupted) =
            run_one(&asked, resolved, input, args, &mut outlets, &mut interrupts).await?;
        worst = worst.max(exit);
        if interrupted {
            let left = jobs.map(|(asked, _)| format!("{}: not run, since interrupted", asked.name()));
            left.for_each(|line| outlets.display.say(&line));
            break;
        }
    }
    if let Some(export) = outlets.export {
        export.finish(|line| outlets.display.say(line)).await;
    }
    if let Some(ui) = outlets.ui {
        ui.farewell().await;
    }
    Ok(worst)
}

/// Where runs are shown, beside standard output.
struct Outlets<'a> {
    display: &'a mut Display,
    ui: Option<Ui>,
    results: Option<Results>,
    export: Option<Export>,
}

impl<'a> Outlets<'a> {
    async fn open(args: &RunArgs, display: &'a mut Display) -> Result<Self> {
        let results = args.result.as_deref().map(Results::create).transpose()?;
        let export = Export::open(args, |line| display.say(line)).await?;
        let mut outlets = Self { display, ui: None, results, export };
        if let Some(address) = args.ui {
            let (ui, address) = Ui::start(address).await?;
            outlets.display.say(&format!("live page on http://{address}/"));
            outlets.ui = Some(ui);
        }
        Ok(outlets)
    }
}

/// Runs a test and prints what came of it: the exit code, and whether somebody interrupted it.
async fn run_one(
    asked: &Asked<'_>,
    mut resolved: Resolved,
    input: &Input,
    args: &RunArgs,
    outlets: &mut Outlets<'_>,
    interrupts: &mut Interrupts,
) -> Result<(Exit, bool)> {
    // In one process the threads share the load; more than one worker would only cut it.
    resolved.plan.workers = 1;
    if let Some(to) = args.shorten {
        shorten(&mut resolved, to);
    }
    let inquiry = inquiry(&mut resolved, args)?;
    for notice in &resolved.notices {
        outlets.display.say(&format!("{}: {notice}", asked.name()));
    }
    let queued = SystemTime::now();
    let hash = spec_hash(&asked.test.spec);
    let Outlets { display, ui, results, export } = outlets;
    if let Some(ui) = ui {
        ui.clear();
    }
    let outcome = match input.values.materials(&resolved.plan) {
        Ok(materials) => {
            let plan = Arc::new(resolved.plan.clone());
            let job = Job {
                plan: Arc::clone(&plan),
                slos: &resolved.slos,
                validity: &resolved.validity,
                materials,
                threads: args.threads.map(usize::from),
                inquiry,
            };
            let mut shown = None;
            let show = |now: drive::Now<'_>| {
                display.show(asked.name(), &plan, &resolved.slos, &resolved.validity, &now);
                let second = now.elapsed.map(|elapsed| elapsed.as_secs());
                if shown == Some(second) {
                    return;
                }
                shown = Some(second);
                if let (Some(ui), Some(elapsed)) = (&mut *ui, now.elapsed) {
                    show_page(ui, &resolved, &now, elapsed, (queued, &hash));
                }
                if let Some(export) = &export {
                    export.show(&resolved, &glimpse(&now, queued));
                }
            };
            drive::drive(job, interrupts, show).await?
        }
        Err(missing) => Some(could_not_run(&resolved, missing.to_string())),
    };
    display.clear();
    let Some(outcome) = outcome else { return Ok((Exit::Interrupted, true)) };
    let judgement = judged(&resolved, &outcome);
    let exit = judgement.verdict.into();
    if let Some(export) = &export {
        let Outcome { merged, facts, started, .. } = &outcome;
        let judgement = Some(&judgement);
        let (elapsed, gauges, started) = (None, Some(Gauges::default()), *started);
        export.show(&resolved, &Glimpse { merged, facts, elapsed, gauges, queued, started, judgement });
    }
    let moment = Moment {
        resolved: &resolved,
        merged: &outcome.merged,
        facts: &outcome.facts,
        queued,
        started: outcome.started,
        judgement: Some(&judgement),
        spec_hash: &hash,
    };
    let Finished { run, result } = output::finished(render::run_of(asked, &resolved), &moment)?;
    if let Some(ui) = ui {
        ui.show(&result, &judgement, "finished", 1.0);
    }
    if let Some(results) = results {
        results.add(&result)?;
    }
    match args.output {
        Output::Text => print(&coloured(&report(&result), judgement.verdict)),
        Output::Validation => print(&validation_report(&result)),
        Output::Json => print(&(serde_json::to_string_pretty(&run)? + "\n")),
        Output::Yaml => print(&format!("---\n{}", to_yaml(&run)?)),
    }?;
    Ok((exit, outcome.facts.stopped == Some(Reason::Cancelled)))
}

/// What the SLOs of a run ask Prometheus. Without a server they are Unknown, and a notice says so before the run.
fn inquiry(resolved: &mut Resolved, args: &RunArgs) -> Result<Option<Inquiry>> {
    let questions = questions(&resolved.spec);
    if questions.is_empty() {
        return Ok(None);
    }
    let client = Prometheus::read(&args.prometheus)?.client(resolved.spec.prometheus.as_ref());
    if let Err(why) = &client {
        let slos = text::counted(questions.len() as u64, "SLO");
        resolved.notices.push(format!("{slos} cannot be judged: {why}"));
    }
    Ok(Some(Inquiry { client, questions }))
}

/// A rehearsal; what an SLO says of times within the run shrinks with it.
fn shorten(resolved: &mut Resolved, to: GoDuration) {
    let from = resolved.plan.duration;
    if to.nanos >= from {
        return;
    }
    resolved.plan.shorten(to.nanos);
    let scale = |nanos: &mut u64| {
        *nanos =
            u64::try_from(u128::from(*nanos) * u128::from(to.nanos) / u128::from(from)).unwrap_or(*nanos);
    };
    for slo in &mut resolved.slos {
        slo.abort_after.iter_mut().for_each(scale);
        if let Kind::ErrorRate { within, .. } = &mut slo.kind {
            within.iter_mut().for_each(scale);
        }
    }
    let planned = GoDuration { nanos: from };
    resolved.notices.push(format!(
        "shortened from {planned} to {to}: a rehearsal, not the run that the manifest asks for"
    ));
}

fn glimpse<'a>(now: &drive::Now<'a>, queued: SystemTime) -> Glimpse<'a> {
    let drive::Now { merged, facts, elapsed, gauges } = *now;
    let started = elapsed.and_then(|elapsed| SystemTime::now().checked_sub(elapsed));
    Glimpse { merged, facts, elapsed, gauges, queued, started, judgement: None }
}

/// Puts the run as it is now on the live page; a page without it is no reason to break off a run.
fn show_page(
    ui: &mut Ui,
    resolved: &Resolved,
    now: &drive::Now<'_>,
    elapsed: Duration,
    (queued, hash): (SystemTime, &str),
) {
    let Resolved { slos, validity, plan, .. } = resolved;
    let started = SystemTime::now().checked_sub(elapsed);
    let (merged, facts) = (now.merged, now.facts);
    let moment = Moment { resolved, merged, facts, queued, started, judgement: None, spec_hash: hash };
    let result = match output::result(&moment) {
        Ok(result) => result,
        Err(error) => return tracing::warn!(%error, "the live page was not renewed"),
    };
    let judgement = judge(slos, validity, &plan.layout, merged, facts);
    let progress = elapsed.as_secs_f64() * 1e9 / plan.duration.max(1) as f64;
    ui.show(&result, &judgement, &display::clock(plan, elapsed), progress.min(1.0));
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
