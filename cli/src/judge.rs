//! `plimsoll judge`: a finished run judged again, from its stored result, by its own SLOs or others, and by what Prometheus says of the
//! run's time. Sends no load.

use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use plimsoll_api::status::{StoredResult, rejudged, report, validation_report};
use plimsoll_api::v1alpha1::{
    LoadTest, LoadTestRun, LoadTestRunSpec, LoadTestSpec, PrometheusServer, TestRef,
};
use plimsoll_api::{
    Changes, LowerError, Object, Overlay, Problem, Source, questions, read, read_with, relower, to_yaml,
};
use plimsoll_measure::Layout;
use plimsoll_plan::RunId;
use plimsoll_slo::{Query, Question, Slo, rejudge};
use plimsoll_telemetry::Identity;
use plimsoll_telemetry::query::{Answers, Follower, Job};

use crate::args::{JudgeArgs, Output};
use crate::exit::Exit;
use crate::input::{Asked as Wanted, Input, Refused};
use crate::out::print;
use crate::prometheus::Prometheus;

/// What a run is judged by.
struct Measure {
    slos: Vec<Slo>,
    layout: Layout,
    questions: Vec<Question>,
    /// The spec that the SLOs are from; absent if they are the run's own.
    spec: Option<LoadTestSpec>,
}

/// Judges all runs of a file; the worst verdict is the exit code.
pub(crate) fn judge(args: &JudgeArgs) -> Result<Exit> {
    let prometheus = Prometheus::read(&args.prometheus)?;
    let results = chosen(results(&args.file)?, args)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut worst = Exit::Passed;
    let mut lines = String::new();
    for result in results {
        let measure = measure(args.slos.as_deref(), &result)?;
        let answers = runtime.block_on(answers(&measure, &prometheus, &result))?;
        let judged = judged(&result, measure, answers)?;
        let verdict = judged.judgement.as_ref().map(|judgement| judgement.verdict);
        worst = worst.max(verdict.map_or(Exit::Error, Exit::from));
        lines += &(serde_json::to_string(&judged)? + "\n");
        match args.output {
            Output::Text => print(&report(&judged)),
            Output::Validation => print(&validation_report(&judged)),
            Output::Json => print(&(serde_json::to_string_pretty(&run_of(&judged))? + "\n")),
            Output::Yaml => print(&format!("---\n{}", to_yaml(&run_of(&judged))?)),
        }?;
    }
    if let Some(file) = &args.result {
        let written = std::fs::write(file, lines);
        written.with_context(|| format!("--result {}: cannot be written", file.display()))?;
    }
    Ok(worst)
}

fn text_of(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// The results in a file: of `--result`, one a line, or of a ConfigMap.
fn results(file: &Path) -> Result<Vec<StoredResult>> {
    let text = text_of(file)?;
    let wrong = || {
        format!(
            "{}: no result of a run: give what `plimsoll run --result` wrote, or `kubectl get configmap RUN-result -o json`",
            file.display()
        )
    };
    let object = serde_json::from_str::<serde_json::Value>(&text).unwrap_or_default();
    if object["kind"] == "ConfigMap" {
        let map: ConfigMap = serde_json::from_value(object).with_context(wrong)?;
        return Ok(vec![plimsoll_manifests::read_result(&map).with_context(wrong)?]);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let results: Vec<StoredResult> =
        lines.map(serde_json::from_str).collect::<Result<_, _>>().with_context(wrong)?;
    // Any object reads as a result in which everything is absent.
    if results.is_empty() || results.iter().any(|result| result.version == 0) {
        bail!(wrong());
    }
    Ok(results)
}

fn chosen(results: Vec<StoredResult>, args: &JudgeArgs) -> Result<Vec<StoredResult>> {
    let Some(name) = &args.run else { return Ok(results) };
    let names = results.iter().map(|result| result.run.name.clone()).collect::<Vec<_>>().join(", ");
    let found: Vec<StoredResult> = results.into_iter().filter(|result| result.run.name == *name).collect();
    if found.is_empty() {
        bail!("--run {name}: {} holds {names}", args.file.display());
    }
    Ok(found)
}

/// What to judge by: the run's own SLOs, or those of a file.
fn measure(file: Option<&Path>, result: &StoredResult) -> Result<Measure> {
    let Some(file) = file else {
        let questions = result.facts.asked.iter().map(|asked| asked.question.clone()).collect();
        let (slos, layout) = (result.slos.clone(), result.layout.clone());
        return Ok(Measure { slos, layout, questions, spec: None });
    };
    let (spec, source) = spec_of(file, result)?;
    match relower(&spec.slos, &result.layout) {
        Ok((slos, layout)) => Ok(Measure { slos, layout, questions: questions(&spec), spec: Some(spec) }),
        Err(errors) => Err(refused(&errors, &source).into()),
    }
}

fn refused(errors: &[LowerError], source: &Source) -> Refused {
    Refused(
        errors.iter().map(|error| source.problem(error.path(), error.message())).collect::<Vec<Problem>>(),
    )
}

/// The spec of a LoadTest with the SLOs of its profile merged in, or a part of one.
fn spec_of(file: &Path, result: &StoredResult) -> Result<(LoadTestSpec, Source)> {
    let (name, text) = (file.display().to_string(), text_of(file)?);
    if text.lines().any(|line| line.starts_with("kind:") || line.starts_with("{\"kind\"")) {
        let mut input = Input::default();
        let documents = read(&name, &text).map_err(Refused)?;
        documents.into_iter().for_each(|document| input.take(document));
        let asked = input.asked()?;
        let same = |asked: &&Wanted<'_>| asked.name() == result.run.test;
        let asked = asked.iter().find(same).or(asked.first()).context("the file holds no LoadTest")?;
        let resolved = asked.lower(&input.references).map_err(|errors| asked.refused(&errors))?;
        return Ok((resolved.spec, asked.source.clone()));
    }
    let overlay = Overlay::read(&name, &text).map_err(Refused)?;
    let changes = Changes { overlays: vec![overlay], sets: Vec::new() };
    let bare = "apiVersion: plimsoll.dev/v1alpha1\nkind: LoadTest\nmetadata: {name: judged}\nspec: {target: {url: http://judged}}\n";
    let documents = read_with(&name, bare, &changes).map_err(Refused)?;
    let test = documents.into_iter().find_map(|document| match document.object {
        Object::LoadTest(test) => Some((*test, document.source)),
        _ => None,
    });
    let (LoadTest { spec, .. }, source) = test.context("the file is no part of a LoadTest")?;
    if spec.slos.is_empty() {
        bail!("{name}: holds no SLOs: write spec: {{slos: […]}}, or a LoadTest");
    }
    Ok((spec, source))
}

/// What Prometheus says of the run's time. Without a server what it said then stands, for questions that are the same.
async fn answers(measure: &Measure, prometheus: &Prometheus, result: &StoredResult) -> Result<Answers> {
    if measure.questions.is_empty() {
        return Ok(Answers::default());
    }
    let client = match &measure.spec {
        Some(spec) => prometheus.client(spec.prometheus.as_ref()),
        // The server that was asked then, or the one that is given now.
        None => {
            let server = result.facts.asked.first().map(|asked| asked.server.clone());
            let named = PrometheusServer { server, url: None };
            prometheus.client(Some(&named)).or_else(|_| prometheus.client(None))
        }
    };
    let client = match client {
        Ok(client) => client,
        Err(why) => return Ok(kept(&measure.questions, result, &why)),
    };
    let Some(started) = result.status.started_at.as_ref().map(|time| SystemTime::from(time.0)) else {
        return Ok(kept(&measure.questions, result, "the run never began"));
    };
    let RunId { namespace, test, name } = result.run.clone();
    let identity = Identity { namespace, test, run: name, worker: None };
    let job = Job::past(identity, started, measure.questions.clone(), &measure.slos, &measure.layout);
    let mut follower = Follower::ask_again(client, job, result.facts.measured);
    follower.finished().await;
    Ok(follower.answers())
}

/// What was answered while the run went on.
fn kept(questions: &[Question], result: &StoredResult, why: &str) -> Answers {
    let mut answers = Answers { is_final: true, ..Answers::default() };
    for question in questions {
        let asked = result.facts.asked.iter().find(|asked| asked.question == *question);
        let query = result.facts.queries.iter().find(|(name, _)| *name == question.slo && asked.is_some());
        let query = query.map_or_else(|| Query::Missing(why.to_owned()), |(_, query)| query.clone());
        answers.queries.push((question.slo.clone(), query));
        answers.asked.extend(asked.cloned());
    }
    answers
}

fn judged(result: &StoredResult, measure: Measure, answers: Answers) -> Result<StoredResult> {
    let Some(validity) = &result.validity else {
        bail!(
            "{}/{} was refused before it had a plan: there is nothing to judge",
            result.run.namespace,
            result.run.name
        );
    };
    let Measure { slos, layout, .. } = measure;
    let facts =
        plimsoll_slo::Facts { queries: answers.queries, asked: answers.asked, ..result.facts.clone() };
    let judgement = rejudge(&slos, validity, &layout, &result.snapshot, &facts);
    Ok(rejudged(result, (slos, layout), facts, judgement, Timestamp::now()))
}

fn run_of(result: &StoredResult) -> LoadTestRun {
    let metadata = ObjectMeta {
        name: Some(result.run.name.clone()),
        namespace: Some(result.run.namespace.clone()),
        ..ObjectMeta::default()
    };
    let spec =
        LoadTestRunSpec { test_ref: TestRef { name: result.run.test.clone() }, ..LoadTestRunSpec::default() };
    LoadTestRun { metadata, spec, status: Some(result.status.clone()) }
}
