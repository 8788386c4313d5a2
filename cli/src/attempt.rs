//! `plimsoll try`: one user, one iteration of each scenario with each of its tasks, told step by step (`attempt/tell.rs`). The engine's own code, traced.

mod tell;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use plimsoll_engine::prepare;
use plimsoll_plan::{Load, LoadGroup, Plan, Ramp};
use plimsoll_scenario::{Action, Scenario, Step, StepAction, Task, did_you_mean};
use tokio::sync::mpsc;

use crate::args::TryArgs;
use crate::exit::Exit;
use crate::input::{Asked, Input, load};
use crate::out::say;
use crate::run::start_testbed;
use tell::Teller;

/// Longest attempt, nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// Tries the tests of the command line; the worst outcome is the exit code.
pub(crate) fn attempt(args: &TryArgs) -> Result<Exit> {
    let mut input = load(&args.input)?;
    for flag in &args.secrets {
        input.values.add_flag(flag)?;
    }
    let testbed = args.testbed.then(|| start_testbed(&mut input, |line| say(&line))).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(attempt_all(&input, args));
    drop(testbed);
    exit
}

async fn attempt_all(input: &Input, args: &TryArgs) -> Result<Exit> {
    let mut worst = Exit::Passed;
    for asked in input.asked()? {
        let resolved = asked.lower(&input.references).map_err(|errors| asked.refused(&errors))?;
        for (name, plan) in plans(&resolved.plan, args)? {
            worst = worst.max(attempt_one(&asked, &name, plan, input, args).await?);
        }
    }
    Ok(worst)
}

/// One plan for each scenario that is asked for: one user, one iteration.
fn plans(plan: &Plan, args: &TryArgs) -> Result<Vec<(String, Plan)>> {
    let scenarios = &plan.script.scenarios;
    let wanted = |(_, scenario): &(usize, &Scenario)| {
        args.scenario.as_ref().map_or(scenario.weight > 0, |name| *name == scenario.name)
    };
    let chosen: Vec<(usize, &Scenario)> = scenarios.iter().enumerate().filter(wanted).collect();
    if let (Some(name), []) = (&args.scenario, chosen.as_slice()) {
        bail!("--scenario {name}: {}", unknown("scenario", name, scenarios.iter().map(|s| s.name.as_str())));
    }
    let plans: Vec<(String, Plan)> = chosen
        .into_iter()
        .filter_map(|(at, scenario)| {
            Some((scenario.name.clone(), one_user(plan, with_task(scenario, at, args)?, args.seed)))
        })
        .collect();
    if let (Some(task), []) = (&args.task, plans.as_slice()) {
        let tasks = scenarios.iter().flat_map(|scenario| tasks(&scenario.action));
        bail!("--task {task}: {}", unknown("task", task, tasks));
    }
    Ok(plans)
}

fn tasks(action: &Action) -> Vec<&str> {
    match action {
        Action::Tasks(tasks) => tasks.iter().map(|task| task.name.as_str()).collect(),
        Action::Steps(_) => Vec::new(),
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match did_you_mean(name, known.iter().copied()) {
        Some(close) => format!("there is no such {what}; did you mean {close:?}?"),
        None if known.is_empty() => format!("there is no {what} at all: the scenarios have steps"),
        None => format!("there is no such {what}; there are: {}", known.join(", ")),
    }
}

/// The scenario with its tasks one after the other, or the one alone that is asked for; nothing if it has no such task.
fn with_task(scenario: &Scenario, index: usize, args: &TryArgs) -> Option<Scenario> {
    let Action::Tasks(tasks) = &scenario.action else {
        return args.task.is_none().then(|| scenario.clone());
    };
    let wanted = |task: &&Task| args.task.as_ref().map_or(task.weight > 0, |name| *name == task.name);
    let chosen = tasks.iter().enumerate().filter(|(_, task)| wanted(task));
    let steps: Vec<Step> = chosen
        .map(|(at, task)| Step {
            when: task.when.clone(),
            ..Step::new(format!("spec.scenarios[{index}].tasks[{at}]"), StepAction::Run(task.steps.clone()))
        })
        .collect();
    (!steps.is_empty()).then(|| Scenario { action: Action::Steps(steps), ..scenario.clone() })
}

/// The plan cut down to one user that does one iteration of one scenario, with the run's setup and teardown.
fn one_user(plan: &Plan, scenario: Scenario, seed: u64) -> Plan {
    let mut plan = plan.clone();
    plan.workers = 1;
    plan.seed = plan.seed.wrapping_add(seed);
    plan.duration = LONGEST;
    plan.script.timeline.clear();
    plan.script.scenarios = vec![Scenario { weight: 1, wait: None, ..scenario }];
    plan.layout.segments.iter_mut().last().into_iter().for_each(|(end, _)| *end = u64::MAX);
    plan.loads = vec![LoadGroup {
        load: Load::Closed { users: vec![Ramp { duration: LONGEST, from: 1, to: 1 }] },
        start: 0,
        duration: LONGEST,
        graceful_ramp_down: 0,
        iterations: Some(1),
        scenarios: vec![0],
    }];
    plan
}

async fn attempt_one(
    asked: &Asked<'_>,
    name: &str,
    plan: Plan,
    input: &Input,
    args: &TryArgs,
) -> Result<Exit> {
    let materials = input.values.materials(&plan)?;
    let mut teller = Teller::new(std::io::stdout().is_terminal(), args.body);
    teller.title(asked.name(), name)?;
    let share = Arc::new(plan).share(0)?;
    let (sink, mut events) = mpsc::unbounded_channel();
    let mut engine = prepare(share, materials, Some(1))?.trace(sink);
    if let Err(unreachable) = engine.preflight().await {
        teller.unreachable(&unreachable.to_string())?;
        return Ok(Exit::Error);
    }
    let work = async {
        let setup = engine.setup().await.context("the setup failed")?;
        let mut running = engine.launch(Instant::now(), setup.as_deref())?;
        running.finished().await;
        running.fault().map_or(Ok(()), |fault| Err(anyhow::anyhow!(fault)))
    };
    tokio::pin!(work);
    let done = loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => teller.tell(&event)?,
            done = &mut work => break done,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        }
    };
    while let Ok(event) = events.try_recv() {
        teller.tell(&event)?;
    }
    if let Err(error) = done {
        teller.broken(&format!("{error:#}"))?;
        return Ok(Exit::Error);
    }
    teller.sum()
}
