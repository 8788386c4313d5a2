//! Keeps the documentation honest: every manifest on a page is accepted, or refused where the page says so, and every link leads
//! somewhere. Pages are `README.md` and all of `docs/`.
//!
//! Fences: `yaml` with an `apiVersion` of ours must be accepted, `yaml refused` must not be, `yaml slos` is a list of SLOs, `yaml steps` a
//! list of steps. What `docs/scenarios.md` and `docs/aragora.md` show is run, too, shortened, against the stand-in service.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun, ProfileKind, ProfileRef};
use plimsoll_api::{Object, References, lower, read};
use plimsoll_plan::RunId;

#[path = "support/shorten.rs"]
mod shorten;
mod support;

use shorten::shorten;
use support::plimsoll;

/// What the lists of SLOs belong to: the windows and request names that they mention.
const TEST_OF_SLOS: &str = "\
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: slos}
spec:
  target: {url: http://checkout.shop:8080}
  profile:
    stages:
    - {duration: 1m, users: 10, window: calm}
    - {duration: 1m, users: 50, window: burst}
    - {duration: 1m, users: 10, window: after}
  scenarios:
  - name: shopper
    steps:
    - http: {method: POST, path: /orders}
      check: {has an id: has(body.id)}
      metrics: {served: {rate: status == 200}, limited: {counter: 'status == 429 ? 1 : 0'}}
    - name: order status
      poll: {every: 2s, limit: 2m, http: {path: /orders/1}, done: body.state == 'paid', metric: order_duration}
    - name: order events
      websocket: {path: /ws/orders, script: [{receive: {until: message.type == 'shipped'}}]}
  slos:
";

/// What lists of steps belong to: a user that has created a debate.
const TEST_OF_STEPS: &str = "\
apiVersion: plimsoll.dev/v1alpha1
kind: LoadTest
metadata: {name: steps}
spec:
  target: {url: http://aragora:8080}
  profile: {users: 2, duration: 1m}
  slos:
  - {name: errors, errorRate: {atMost: 1%}}
  scenarios:
  - name: user
    wait: {constant: 1s}
    state: {debate: 'null'}
    onStart:
    - name: POST /api/debates
      http:
        method: POST
        path: /api/debates
        json: {question: 'Is tea better?', agents: [echo, echo], protocol: {rounds: 1}}
        expect: {status: [200, 201]}
      capture: {debate: 'first(body.debate_id, body.id)'}
    steps:
";

/// A fenced block of a page.
#[derive(Debug)]
struct Block {
    /// The words behind the opening fence.
    info: String,
    /// Page and line of the opening fence.
    at: String,
    text: String,
}

/// A page without its fenced blocks, and these.
#[derive(Debug)]
struct Page {
    path: PathBuf,
    prose: Vec<(usize, String)>,
    blocks: Vec<Block>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Vec<Page> {
    let mut found = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "md" => found.push(path),
                _ => {}
            }
        }
    }
    found.into_iter().map(page).collect()
}

fn page(path: PathBuf) -> Page {
    let text = fs::read_to_string(&path).unwrap();
    let name = path.strip_prefix(root()).unwrap().display().to_string();
    parsed(path, &name, &text)
}

fn parsed(path: PathBuf, name: &str, text: &str) -> Page {
    let mut page = Page { path, prose: Vec::new(), blocks: Vec::new() };
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => page.blocks.push(block),
            (Some(info), None) => {
                let (info, at) = (info.trim().to_owned(), format!("{name}:{number}"));
                open = Some(Block { info, at, text: String::new() });
            }
            (None, Some(mut block)) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => page.prose.push((number, line.to_owned())),
        }
    }
    assert!(open.is_none(), "{name}: a fence is not closed");
    page
}

/// Reads and resolves everything in a manifest; every problem otherwise.
fn accept(at: &str, text: &str) -> Result<usize, String> {
    let documents = read(at, text)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let (mut tests, mut runs, mut refs): (Vec<LoadTest>, Vec<LoadTestRun>, _) =
        (Vec::new(), Vec::new(), References::default());
    let count = documents.len();
    for document in documents {
        let mut profile = |kind, name: Option<String>, spec| {
            refs.profiles.insert(ProfileRef { kind, name: name.unwrap_or_default() }, spec)
        };
        match document.object {
            Object::LoadTest(test) => tests.push(*test),
            Object::LoadTestRun(run) => runs.push(*run),
            Object::LoadProfile(found) => {
                drop(profile(ProfileKind::LoadProfile, found.metadata.name, found.spec));
            }
            Object::ClusterLoadProfile(found) => {
                drop(profile(ProfileKind::ClusterLoadProfile, found.metadata.name, found.spec.0));
            }
            Object::Secret(_) | Object::ConfigMap(_) | Object::Other(_) => {}
        }
    }
    for test in &tests {
        let own = runs.iter().filter(|run| Some(&run.spec.test_ref.name) == test.metadata.name.as_ref());
        let overrides = own.map(|run| run.spec.overrides.as_ref());
        for overrides in std::iter::once(None).chain(overrides) {
            lower(test, overrides, &refs, RunId::default(), 1).map_err(|errors| {
                errors.iter().map(|error| format!("{at}: {error}")).collect::<Vec<_>>().join("\n")
            })?;
        }
    }
    Ok(count)
}

/// What must be accepted or refused of a block: its manifest, and whether it is to be accepted. Nothing for other blocks.
fn manifest(block: &Block) -> Option<(String, bool)> {
    let ours = block.text.contains("apiVersion: plimsoll.dev/");
    match block.info.as_str() {
        "yaml" if ours => Some((block.text.clone(), true)),
        "yaml refused" => Some((block.text.clone(), false)),
        "yaml slos" => {
            let list: String = block.text.lines().map(|line| format!("  {line}\n")).collect();
            Some((format!("{TEST_OF_SLOS}{list}"), true))
        }
        "yaml steps" => {
            let list: String = block.text.lines().map(|line| format!("    {line}\n")).collect();
            Some((format!("{TEST_OF_STEPS}{list}"), true))
        }
        _ => None,
    }
}

#[test]
fn manifests_are_accepted_or_refused_as_the_pages_say() {
    let (mut wrong, mut accepted, mut refused) = (Vec::new(), 0, 0);
    for block in pages().iter().flat_map(|page| &page.blocks) {
        match manifest(block).map(|(text, wanted)| (accept(&block.at, &text), wanted)) {
            None => {}
            Some((Ok(documents), true)) => accepted += documents,
            Some((Err(_), false)) => refused += 1,
            Some((Ok(_), false)) => wrong.push(format!("{}: is accepted, the page says refused", block.at)),
            Some((Err(problems), true)) => wrong.push(problems),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // A rule that finds nothing would hold for ever.
    assert!(accepted > 25 && refused > 0, "found only {accepted} manifests and {refused} refused ones");
}

/// Runs what a block shows, shortened, against the stand-in service; what is wrong with the outcome.
fn run(block: &Block, manifest: &str) -> Result<(), String> {
    let documents = read(&block.at, manifest).map_err(|problems| format!("{problems:?}"))?;
    let tests = documents.into_iter().filter_map(|document| match document.object {
        Object::LoadTest(test) => Some(*test),
        _ => None,
    });
    for test in tests {
        let output = plimsoll(&["run", "-", "--testbed", "-q"], &shorten(&test));
        if output.status.code() != Some(0) {
            let told = [support::text(&output.stdout), support::text(&output.stderr)].concat();
            return Err(format!("{}: {told}", block.at));
        }
    }
    Ok(())
}

#[test]
fn what_the_pages_on_scenarios_show_passes_against_the_stand_in() {
    let shown = ["docs/scenarios.md", "docs/aragora.md"].map(|name| page(root().join(name)));
    let blocks = shown.iter().flat_map(|page| &page.blocks);
    let manifests: Vec<_> = blocks
        .filter(|block| block.info != "yaml slos")
        .filter_map(|block| Some((block, manifest(block).filter(|(_, wanted)| *wanted)?.0)))
        .collect();
    assert!(manifests.len() > 15, "found only {} manifests", manifests.len());
    let wrong: Vec<_> = manifests.iter().filter_map(|(block, text)| run(block, text).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Targets of `[text](target)` outside of code spans.
fn links(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect();
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page, as they are made of its headings.
fn anchors(page: &Page) -> BTreeSet<String> {
    let headings = page.prose.iter().filter(|(_, line)| line.starts_with('#'));
    let slug = |line: &str| -> String {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(|(_, line)| slug(line)).collect()
}

#[test]
fn links_lead_somewhere() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages() {
        let folder = page.path.parent().unwrap();
        for (number, line) in &page.prose {
            for link in links(line).iter().filter(|link| !link.contains("://")) {
                count += 1;
                let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
                let path = if file.is_empty() { page.path.clone() } else { folder.join(file) };
                let at = format!("{}:{number}: {link}", page.path.display());
                if !path.exists() {
                    wrong.push(format!("{at}: there is no such file"));
                } else if !anchor.is_empty() && !anchors(&self::page(path)).contains(anchor) {
                    wrong.push(format!("{at}: there is no such heading"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "found only {count} links");
}

#[test]
fn the_rules_see_what_they_look_for() {
    let text = "# A `b` (c)!\nsee [x](y.md#z) and `[no](link)`\n```yaml refused\nkind: X\n```\n";
    let page = parsed(PathBuf::from("p.md"), "p.md", text);
    assert_eq!(anchors(&page), BTreeSet::from(["a-b-c".to_owned()]));
    assert_eq!(page.prose.iter().flat_map(|(_, line)| links(line)).collect::<Vec<_>>(), ["y.md#z"]);
    let [block] = &page.blocks[..] else { panic!("{page:?}") };
    assert_eq!((block.at.as_str(), manifest(block)), ("p.md:3", Some(("kind: X\n".to_owned(), false))));
    let misspelt = TEST_OF_SLOS.replace("profile:", "profil:");
    assert!(accept("here", &misspelt).unwrap_err().contains("here:6:3: spec.profil"), "{misspelt}");
    let unresolved = format!("{TEST_OF_SLOS}  - {{name: a, window: brst, errorRate: {{atMost: 1%}}}}\n");
    assert!(accept("here", &unresolved).unwrap_err().contains("no window \"brst\""));
}
