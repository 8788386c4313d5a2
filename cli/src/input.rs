//! Manifests of the command line: read, changed by `--values`, `--set` and `--target`, and paired into the runs that are asked for.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use plimsoll_api::v1alpha1::{LoadProfileSpec, LoadTest, LoadTestRun, ProfileKind, ProfileRef};
use plimsoll_api::{
    Changes, LowerError, Object, Overlay, Problem, References, Resolved, Source, lower, read_with, spec_hash,
};
use plimsoll_plan::RunId;

use crate::args::InputArgs;
use crate::values::Values;

/// Everything that was read.
#[derive(Debug, Default)]
pub(crate) struct Input {
    pub(crate) tests: Vec<(LoadTest, Source)>,
    pub(crate) runs: Vec<(LoadTestRun, Source)>,
    pub(crate) references: References,
    pub(crate) values: Values,
    /// Objects of other APIs, which are left alone.
    pub(crate) others: Vec<String>,
}

/// One run that is asked for: a test, by itself or through a LoadTestRun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) test: &'a LoadTest,
    pub(crate) source: &'a Source,
    pub(crate) run: Option<(&'a LoadTestRun, &'a Source)>,
}

/// Why manifests were refused: one line per problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct Refused(pub(crate) Vec<Problem>);

/// Reads all files of the command line.
pub(crate) fn load(args: &InputArgs) -> Result<Input> {
    if args.files.is_empty() {
        bail!("no manifest: name a file, `-` for standard input, or try `plimsoll run --url URL`");
    }
    let changes = changes(args)?;
    let mut input = Input::default();
    let mut problems = Vec::new();
    for file in &args.files {
        let (name, text) = text_of(file)?;
        match read_with(&name, &text, &changes) {
            Ok(documents) => documents.into_iter().for_each(|document| input.take(document)),
            Err(more) => problems.extend(more),
        }
    }
    if !problems.is_empty() {
        return Err(Refused(problems).into());
    }
    if let Some(url) = &args.target {
        input.send_to(|target| target.clone_from(url));
    }
    Ok(input)
}

/// What `--values` and `--set` change in every LoadTest.
pub(crate) fn changes(args: &InputArgs) -> Result<Changes> {
    let overlay = |file: &PathBuf| {
        let (name, text) = text_of(file)?;
        Overlay::read(&name, &text).map_err(|problems| Refused(problems).into())
    };
    let set = |set: &String| set.parse().map_err(|wrong| anyhow::anyhow!("--set {set}: {wrong}"));
    Ok(Changes {
        overlays: args.values.iter().map(overlay).collect::<Result<_>>()?,
        sets: args.sets.iter().map(set).collect::<Result<_>>()?,
    })
}

fn text_of(file: &Path) -> Result<(String, String)> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(("<stdin>".to_owned(), text));
    }
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
    Ok((name, text))
}

impl Input {
    pub(crate) fn take(&mut self, document: plimsoll_api::Document) {
        match document.object {
            Object::LoadTest(test) => self.tests.push((*test, document.source)),
            Object::LoadTestRun(run) => self.runs.push((*run, document.source)),
            Object::LoadProfile(profile) => {
                self.add_profile(ProfileKind::LoadProfile, profile.metadata.name, profile.spec);
            }
            Object::ClusterLoadProfile(profile) => {
                self.add_profile(ProfileKind::ClusterLoadProfile, profile.metadata.name, profile.spec.0);
            }
            Object::Secret(secret) => self.values.add_secret(*secret),
            Object::ConfigMap(config) => self.values.add_config(*config),
            Object::Other(what) => self.others.push(what),
        }
    }

    /// Changes every URL that load would go to: those of the tests, and those that runs put in their place.
    pub(crate) fn send_to(&mut self, change: impl Fn(&mut String)) {
        self.tests.iter_mut().for_each(|(test, _)| change(&mut test.spec.target.url));
        let overrides = self.runs.iter_mut().filter_map(|(run, _)| run.spec.overrides.as_mut());
        overrides
            .filter_map(|overrides| overrides.target.as_mut())
            .for_each(|target| change(&mut target.url));
    }

    fn add_profile(&mut self, kind: ProfileKind, name: Option<String>, spec: LoadProfileSpec) {
        let name = name.unwrap_or_default();
        self.references.profiles.insert(ProfileRef { kind, name }, spec);
    }

    /// The runs that the input asks for, in order: a LoadTestRun runs its test once; a LoadTest that no LoadTestRun names
    /// runs by itself.
    pub(crate) fn asked(&self) -> Result<Vec<Asked<'_>>> {
        let mut asked = Vec::new();
        for (test, source) in &self.tests {
            let name = test.metadata.name.as_deref();
            let runs = self.runs.iter().filter(|(run, _)| Some(run.spec.test_ref.name.as_str()) == name);
            let before = asked.len();
            asked.extend(runs.map(|(run, from)| Asked { test, source, run: Some((run, from)) }));
            if asked.len() == before {
                asked.push(Asked { test, source, run: None });
            }
        }
        let names = || self.tests.iter().filter_map(|(test, _)| test.metadata.name.as_deref());
        let orphans: Vec<Problem> = self
            .runs
            .iter()
            .filter(|(run, _)| !names().any(|name| name == run.spec.test_ref.name))
            .map(|(run, source)| {
                let name = &run.spec.test_ref.name;
                source.problem(
                    "spec.testRef.name",
                    format!("the input holds no LoadTest {name:?}; add its file to the command line"),
                )
            })
            .collect();
        if !orphans.is_empty() {
            return Err(Refused(orphans).into());
        }
        if asked.is_empty() {
            bail!("the input holds no LoadTest");
        }
        Ok(asked)
    }
}

impl Asked<'_> {
    /// Name of the test; the API requires one.
    pub(crate) fn name(&self) -> &str {
        self.test.metadata.name.as_deref().unwrap_or_default()
    }

    /// Namespace of the test, as `kubectl` would take it.
    pub(crate) fn namespace(&self) -> &str {
        self.test.metadata.namespace.as_deref().unwrap_or("default")
    }

    /// Resolves the test to a plan; the same manifest makes the same random choices every time.
    pub(crate) fn lower(&self, references: &References) -> std::result::Result<Resolved, Vec<LowerError>> {
        let hash = spec_hash(&self.test.spec);
        let seed = u64::from_str_radix(hash.get(..16).unwrap_or_default(), 16).unwrap_or_default();
        let run = RunId {
            namespace: self.namespace().to_owned(),
            test: self.name().to_owned(),
            name: self.run_name(&hash),
        };
        lower(self.test, self.run.and_then(|(run, _)| run.spec.overrides.as_ref()), references, run, seed)
    }

    fn run_name(&self, hash: &str) -> String {
        let given = self.run.and_then(|(run, _)| run.metadata.name.clone());
        given.unwrap_or_else(|| format!("{}-{}", self.name(), hash.get(..8).unwrap_or(hash)))
    }

    /// Errors of [`Asked::lower`] with file and line.
    pub(crate) fn refused(&self, errors: &[LowerError]) -> Refused {
        let written = |path: &str| match self.run {
            Some((_, source)) if path.starts_with("spec.overrides") => source,
            _ => self.source,
        };
        Refused(errors.iter().map(|e| written(e.path()).problem(e.path(), e.message())).collect())
    }
}
