//! An operator as a process, with the rights of the chart's ServiceAccount; it can be killed and started again.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use xtask::process::{self, Guarded};

use super::{HOME, Stage};

/// A running operator.
pub(crate) struct Operator {
    process: Option<Guarded>,
    command: Box<dyn Fn() -> Command + Send>,
    name: String,
    log: std::path::PathBuf,
    /// Where it accepts workers.
    pub(crate) sessions: SocketAddr,
    /// Where it serves health and metrics.
    pub(crate) http: SocketAddr,
}

impl Operator {
    /// Starts it; workers dial it directly unless `more` advertises another address.
    pub(crate) fn start(stage: &Stage, name: &str, more: &[&str]) -> Self {
        let ports = process::free_ports::<2>().unwrap();
        let [sessions, http] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let program = stage.programs["plimsoll-operator"].clone();
        let kubeconfig = stage.kubeconfig.clone();
        let identity = name.to_owned();
        let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
        let command = move || {
            let mut command = Command::new(&program);
            command.env("KUBECONFIG", &kubeconfig);
            command.args([
                "--namespace",
                HOME,
                "--identity",
                &identity,
                "--server-name",
                "plimsoll-operator",
            ]);
            command.args(["--listen", &sessions.to_string(), "--listen-http", &http.to_string()]);
            if !more.iter().any(|word| word == "--advertise") {
                command.args(["--advertise", &sessions.to_string()]);
            }
            command.args(["--log", "info,plimsoll_operator=debug"]).args(&more);
            command
        };
        let log = stage.folder.join(format!("{name}.log"));
        let mut operator =
            Self { process: None, command: Box::new(command), name: name.to_owned(), log, sessions, http };
        operator.resume();
        operator
    }

    /// Starts it again, as the same pod with the same address would.
    pub(crate) fn resume(&mut self) {
        self.process = Some(Guarded::start(&self.name, &mut (self.command)(), &self.log).unwrap());
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill().unwrap();
    }

    /// Asks it to end, as a rollout does.
    pub(crate) fn stop(&mut self) {
        self.process.take().unwrap().stop("TERM", Duration::from_secs(10)).unwrap();
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> f64 {
        let pid = self.process.as_ref().unwrap().pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}
