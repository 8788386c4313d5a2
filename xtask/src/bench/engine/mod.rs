//! `cargo xtask bench engine`: what a request costs Plimsoll's release binary and other load generators, in turn, on one core, against
//! the same servers on the other. `rows.rs` says what is compared, `measure.rs` how it is measured, `print.rs` shows it.

mod alone;
mod clients;
mod figure;
mod interval;
mod manifests;
mod measure;
mod paired;
mod print;
mod rows;
mod server;
mod syscalls;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::json;

pub use rows::Row;

use self::server::Server;
use crate::binaries::{self, Profile};
use crate::tools::peers::{self, Found, Peer};
use crate::tools::{apt, list};
use crate::{paths, report};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The rows; all of them if there are none.
    pub rows: Vec<Row>,
    /// Rounds in which every client of a row has its turn.
    pub alternations: u32,
    /// How long a client is measured in a round.
    pub stretch: Duration,
    /// How to compile Plimsoll and the testbed.
    pub profile: Profile,
    /// A build of Plimsoll to measure in place of one of the work tree.
    pub program: Option<PathBuf>,
    /// Another build that does the same in turn.
    pub baseline: Option<PathBuf>,
}

/// Everything that is ready to measure.
struct Bench {
    options: Options,
    plimsoll: PathBuf,
    server: Server,
    found: Vec<Found>,
    /// Configuration, manifests and logs.
    folder: PathBuf,
}

impl Bench {
    fn found(&self, peer: Peer) -> Option<&Found> {
        self.found.iter().find(|found| found.peer == peer)
    }

    /// The log of one run.
    fn log(&self, name: &str) -> PathBuf {
        self.folder.join("logs").join(format!("{}.log", name.replace(' ', "-")))
    }
}

/// Measures and prints.
///
/// # Errors
/// If this machine has one core only, a server does not start, or a row could not be measured; the others are printed all the same.
pub fn run(options: &Options) -> Result<()> {
    if std::thread::available_parallelism()?.get() < 2 {
        bail!("the benchmark needs two cores, one for the clients and one for the servers");
    }
    let rows = if options.rows.is_empty() { Row::ALL.to_vec() } else { options.rows.clone() };
    let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let folder = paths::root().join("target/bench");
    let scratch = folder.join(format!("engine-{started}"));
    std::fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
    let nginx = list::DEBIAN.iter().find(|package| package.brings == "nginx");
    apt::install(nginx.map(std::slice::from_ref).unwrap_or_default())?;
    let wanted: Vec<Peer> =
        Peer::ALL.into_iter().filter(|peer| rows.iter().any(|row| row.peers().contains(peer))).collect();
    let found = peers::bring(&wanted);
    let (plimsoll, testbed) = report::step("plimsoll and testbed", || programs(options))?;
    let server = Server::start(&scratch, &testbed)?;
    let bench = Bench { plimsoll, options: options.clone(), server, found, folder: scratch };
    let (mut measured, mut figures, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        // A row that fails must not cost what the others have measured.
        match report::step(row.name(), || row.measure(&bench)) {
            Ok((paired, own)) => {
                measured.extend(paired);
                figures.extend(own);
            }
            Err(why) => failed.push(format!("{}: {why:#}", row.name())),
        }
    }
    print::clients(&measured);
    print::figures(&figures);
    if wanted.contains(&Peer::K6) && bench.found(Peer::K6).is_none() {
        println!("{}", print::APART.trim_end());
    }
    report::skipped().iter().for_each(|line| println!("{line}"));
    let about = json!({
        "bench": "engine", "startedAt": started, "alternations": bench.options.alternations,
        "stretchSeconds": bench.options.stretch.as_secs_f64(), "profile": format!("{:?}", bench.options.profile),
        "clients": bench.found.iter().map(|found| found.version.as_str()).collect::<Vec<_>>(),
        "processor": processor(), "kernel": kernel(),
    });
    print::file(&folder.join(format!("engine-{started}.jsonl")), &about, &measured, &figures)?;
    if !failed.is_empty() {
        bail!("rows that could not be measured:\n{}", failed.join("\n"));
    }
    Ok(())
}

/// Builds Plimsoll, unless there is one to measure, and the testbed.
fn programs(options: &Options) -> Result<(PathBuf, PathBuf)> {
    let ours: &[&str] = if options.program.is_some() { &[] } else { &["plimsoll-cli"] };
    let built = binaries::build(&[ours, &["plimsoll-testbed"]].concat(), options.profile)?;
    let program = |name: &str| built.get(name).cloned().with_context(|| format!("cargo built no {name}"));
    let plimsoll = match &options.program {
        Some(given) => given.canonicalize().with_context(|| format!("find {}", given.display()))?,
        None => program("plimsoll")?,
    };
    Ok((plimsoll, program("testbed")?))
}

/// The processor's name, as the kernel says it.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    name.map(|(_, name)| name.to_owned()).unwrap_or_default()
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
