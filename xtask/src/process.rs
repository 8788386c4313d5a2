//! Programs: run one to its end, keep one for the life of a value, or leave one running and find it again by its
//! recorded id. Nothing here stops a process that it did not start.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Runs a program to its end with its output shown.
///
/// # Errors
/// If it cannot be started or ends with anything but 0; the text names the command line.
pub fn run(command: &mut Command) -> Result<()> {
    let line = text(command);
    let status = command.status().with_context(|| format!("start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs a program to its end and returns its standard output, trimmed at the end.
///
/// # Errors
/// As [`run`]; the text quotes what the program said.
pub fn output(command: &mut Command) -> Result<String> {
    let line = text(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{line}`"))?;
    if !output.status.success() {
        let said = [output.stderr, output.stdout].concat();
        bail!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// The command line of a command, for messages.
pub fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Asks `check` until it says yes.
///
/// # Errors
/// After `limit`, naming `what` and, if `check` failed to the end, why.
pub fn wait_until(what: &str, limit: Duration, mut check: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = check();
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        if start.elapsed() >= limit {
            let limit = crate::report::seconds(limit);
            return match answer {
                Err(error) => Err(error.context(format!("waited {limit} for {what}"))),
                Ok(_) => bail!("waited {limit} for {what}"),
            };
        }
        // At least as long as asking took: where that is a program, what is waited for needs the processor too.
        std::thread::sleep(asked.elapsed().max(Duration::from_millis(25)));
    }
}

/// Sends a signal, by name and without `SIG`, to a process, or to its group where `group` is set.
///
/// # Errors
/// If there is no such process, or it belongs to somebody else.
pub fn signal(pid: u32, group: bool, name: &str) -> Result<()> {
    let target = if group { format!("-{pid}") } else { pid.to_string() };
    output(Command::new("sh").args(["-c", "kill -s \"$1\" -- \"$2\"", "sh", name, &target])).map(drop)
}

/// A process that ends with this value, and with this program however that ends.
///
/// Tests keep servers in statics, which are never dropped, and may be killed themselves; so a small shell holds a
/// pipe from this process and kills the server's group when the pipe closes.
#[derive(Debug)]
pub struct Guarded {
    name: String,
    child: Child,
    watcher: Child,
    log: PathBuf,
    ended: bool,
}

impl Guarded {
    /// Starts `command` in a process group of its own, with its output in `log`.
    ///
    /// # Errors
    /// If the log cannot be written or the program not be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let child = spawn_logged(name, command, log)?;
        let watcher = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -s KILL -- \"-$1\" 2>/dev/null", "sh"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut guarded = match watcher {
            Ok(watcher) => Self { name: name.to_owned(), child, watcher, log: log.to_owned(), ended: false },
            Err(error) => {
                let _ = signal(child.id(), true, "KILL");
                return Err(error).context("start `sh` to watch over a process");
            }
        };
        guarded.check()?;
        Ok(guarded)
    }

    /// The process id, which is also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails if the process has ended, quoting the end of its log.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn check(&mut self) -> Result<()> {
        if !self.ended && identity(self.pid()).is_some() {
            return Ok(());
        }
        let status = self.reap()?;
        bail!("{} ended with {status}:\n{}", self.name, last_lines(&self.log, 15))
    }

    /// `kill -9` for the whole group, and waits for the process to be gone.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.reap()
    }

    /// Asks the process to end by the signal `name` (`TERM`, `QUIT` …), and kills its group if it has not after
    /// `patience`.
    ///
    /// # Errors
    /// If it is gone already or waiting fails.
    pub fn stop(mut self, name: &str, patience: Duration) -> Result<ExitStatus> {
        self.check()?;
        let pid = self.pid();
        signal(pid, false, name)?;
        // Late or not, `reap` ends what is left.
        let _ = wait_until(&self.name, patience, || Ok(identity(pid).is_none()));
        self.reap()
    }

    /// Ends whatever is left of the group. Only then may its leader be reaped: until that its id is nobody else's.
    fn reap(&mut self) -> Result<ExitStatus> {
        if !self.ended {
            let _ = signal(self.pid(), true, "KILL");
            self.ended = true;
        }
        self.child.wait().with_context(|| format!("wait for the end of {}", self.name))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // The watcher first: once the child is reaped its id may be another process's.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        let _ = self.reap();
    }
}

/// A process that outlives this program, identified by its id, its start time and the boot, so that a recycled id
/// is never taken for it.
#[derive(Debug)]
pub struct Recorded {
    /// The name it was recorded under.
    pub name: String,
    pid: u32,
    identity: String,
}

impl Recorded {
    /// Starts `command` with its output in `log` and records it as `<folder>/<name>.pid`.
    ///
    /// # Errors
    /// If the program cannot be started or the record not be written.
    pub fn start(folder: &Path, name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let child = spawn_logged(name, command, log)?;
        let pid = child.id();
        let identity =
            identity(pid).with_context(|| format!("{name} ended at once:\n{}", last_lines(log, 15)))?;
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join(format!("{name}.pid")), format!("{pid} {identity}\n"))?;
        // Reaped by a thread, so that a process that ends while this program runs is seen to be gone.
        std::thread::spawn(move || {
            let mut child = child;
            child.wait()
        });
        Ok(Self { name: name.to_owned(), pid, identity })
    }

    /// Every process recorded in `folder`, running or not.
    ///
    /// # Errors
    /// If the folder cannot be read; a folder that does not exist has none.
    pub fn all(folder: &Path) -> Result<Vec<Self>> {
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("read {}", folder.display()))?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(OsStr::to_str).and_then(|n| n.strip_suffix(".pid"))
            else {
                continue;
            };
            let record = std::fs::read_to_string(&path)?;
            if let Some((pid, identity)) = record.trim().split_once(' ')
                && let Ok(pid) = pid.parse()
            {
                found.push(Self { name: name.to_owned(), pid, identity: identity.to_owned() });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether that very process still runs.
    pub fn alive(&self) -> bool {
        identity(self.pid).is_some_and(|now| now == self.identity)
    }

    /// `kill -9` for it and its group.
    ///
    /// # Errors
    /// If it is there even after that.
    pub fn kill(&self) -> Result<()> {
        if !self.alive() {
            return Ok(());
        }
        let _ = signal(self.pid, true, "KILL");
        wait_until(&format!("the end of {}", self.name), Duration::from_secs(10), || Ok(!self.alive()))
    }
}

/// What tells a process from a later one with the same id: start time in ticks since boot, and the boot.
/// `None` if it is gone or a zombie.
fn identity(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold spaces; behind it come the state and, 19 fields later, the start time.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    let start = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{start} {}", boot.trim()))
}

fn spawn_logged(name: &str, command: &mut Command, log: &Path) -> Result<Child> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("open {}", log.display()))?;
    writeln!(file, "$ {}", text(command))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
    command.spawn().with_context(|| format!("start {name} (`{}`)", text(command)))
}

/// The last lines of a log, for messages.
pub fn last_lines(log: &Path, count: usize) -> String {
    let text =
        std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = &lines[lines.len().saturating_sub(count)..];
    format!("{}\n(from {})", tail.join("\n"), log.display())
}

/// Ports that the kernel gives to nobody by itself: below Linux' usual range for outgoing connections, so that none of those
/// takes a port between its choice and its use.
pub const QUIET_PORTS: std::ops::Range<u16> = 10_000..32_000;

/// `N` TCP ports of the loopback address that nothing listens on, never the same twice in one process.
///
/// # Errors
/// If none is free.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(QUIET_PORTS.end - QUIET_PORTS.start);
    // Processes that run at the same time begin far apart.
    let first = std::process::id().wrapping_mul(97);
    let next = || {
        let offset = first.wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed)) % count;
        QUIET_PORTS.start + u16::try_from(offset).unwrap_or(0)
    };
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = [0; N];
    for port in &mut ports {
        *port = (0..count).map(|_| next()).find(is_free).context("find a free port")?;
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("plimsoll-process-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_failed_program_is_quoted() {
        let error =
            output(Command::new("sh").args(["-c", "echo no luck >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("no luck") && error.contains("exit status: 3"), "{error}");
    }

    #[test]
    fn a_guarded_group_dies_with_its_value() {
        let log = scratch("guarded").join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 300 & echo $!; wait"]);
        let guarded = Guarded::start("sleeper", &mut command, &log).unwrap();
        let mut grandchild = 0;
        wait_until("the sleeper's id", Duration::from_secs(5), || {
            let text = std::fs::read_to_string(&log)?;
            grandchild = text.lines().nth(1).unwrap_or("").parse().unwrap_or(0);
            Ok(grandchild != 0)
        })
        .unwrap();
        assert!(identity(grandchild).is_some());
        drop(guarded);
        wait_until("its end", Duration::from_secs(5), || Ok(identity(grandchild).is_none())).unwrap();
        std::fs::remove_dir_all(scratch("guarded")).unwrap();
    }

    #[test]
    fn a_recorded_process_is_found_again_and_a_recycled_id_is_not() {
        let folder = scratch("recorded");
        let started =
            Recorded::start(&folder, "sleeper", Command::new("sleep").arg("300"), &folder.join("log"))
                .unwrap();
        let found = Recorded::all(&folder).unwrap();
        assert_eq!((found.len(), found[0].pid(), found[0].alive()), (1, started.pid(), true));
        let stranger =
            Recorded { name: "stranger".into(), pid: started.pid(), identity: "1 other-boot".into() };
        assert!(!stranger.alive());
        stranger.kill().unwrap();
        assert!(started.alive(), "a process of another identity was stopped");
        found[0].kill().unwrap();
        assert!(!started.alive());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn ports_differ() {
        let [a, b, c] = free_ports().unwrap();
        assert!(a != b && b != c && a != c);
    }
}
