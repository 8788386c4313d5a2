//! A real Prometheus as the reader of what we export, on loopback or in the network of the cluster (`cluster/`). Questions are asked by
//! `promtool`, so that they work in both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::process::{self, Guarded};
use crate::tools;

/// The programs that it takes.
pub const PROGRAMS: [&str; 3] = ["prometheus", "promtool", "/bin/busybox"];

/// What to collect and where to be asked.
#[derive(Debug)]
pub struct Server<'a> {
    /// Receives configuration, data and logs; is made, and should be empty.
    pub folder: &'a Path,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Its configuration.
    pub config: &'a Value,
    /// Flags beside those that it always gets.
    pub flags: &'a [&'a str],
    /// The cluster whose network to be in; without one it is the host's.
    pub inside: Option<&'a Cluster>,
}

/// A running Prometheus; it ends with this value and with this process.
#[derive(Debug)]
pub struct Prometheus {
    listen: SocketAddr,
    inside: bool,
    promtool: PathBuf,
    process: Guarded,
}

/// One series of an answer: its labels, and its number.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels as Prometheus has them.
    pub labels: Value,
    /// The number; of a native histogram, how many it counts.
    pub value: f64,
}

/// Starts Prometheus and waits until it is ready.
///
/// # Errors
/// If it is not there, or does not start; the text quotes its log.
pub fn start(server: &Server<'_>) -> Result<Prometheus> {
    std::fs::create_dir_all(server.folder).with_context(|| format!("make {}", server.folder.display()))?;
    let folder = server.folder.canonicalize()?;
    // JSON is YAML.
    let config = folder.join("prometheus.yml");
    std::fs::write(&config, serde_json::to_vec_pretty(server.config)?)
        .with_context(|| format!("write {}", config.display()))?;
    let program = tools::find("prometheus")?;
    let mut command = within(server.inside, &program)?;
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address={}", server.listen));
    command.args(["--log.level=warn", "--web.enable-otlp-receiver", "--enable-feature=exemplar-storage"]);
    command.args(server.flags);
    let log = folder.join("prometheus.log");
    let mut started = Prometheus {
        listen: server.listen,
        inside: server.inside.is_some(),
        promtool: tools::find("promtool")?,
        process: Guarded::start("prometheus", &mut command, &log)?,
    };
    process::wait_until("Prometheus", Duration::from_secs(30), || {
        started.process.check()?;
        Ok(started.fetch("/-/ready").is_ok())
    })?;
    Ok(started)
}

/// A program in the cluster's network, or here.
fn within(cluster: Option<&Cluster>, program: &Path) -> Result<Command> {
    cluster.map_or_else(|| Ok(Command::new(program)), |cluster| cluster.inside(program))
}

impl Prometheus {
    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Asks for the present value of an expression; every series of the answer.
    ///
    /// # Errors
    /// If it cannot be asked, does not understand the question, or answers with anything but a vector or a number.
    pub fn ask(&self, expression: &str) -> Result<Vec<Sample>> {
        let mut promtool = self.command(&self.promtool.clone())?;
        promtool.args(["query", "instant", "--format=json", &self.url(), expression]);
        let text = process::output(&mut promtool)?;
        let answer: Value = serde_json::from_str(&text).with_context(|| format!("read {text}"))?;
        samples(&answer).with_context(|| format!("the answer to `{expression}`"))
    }

    /// Asks for one number.
    ///
    /// # Errors
    /// As [`Self::ask`], and if the answer is not exactly one series.
    pub fn number(&self, expression: &str) -> Result<f64> {
        match &self.ask(expression)?[..] {
            [sample] => Ok(sample.value),
            other => bail!("`{expression}` gave {} series, not one: {other:?}", other.len()),
        }
    }

    /// Asks its HTTP API, e.g. `/api/v1/targets`; what is behind `data`.
    ///
    /// # Errors
    /// If it cannot be asked, or the answer is no JSON.
    pub fn api(&self, path: &str) -> Result<Value> {
        let text = self.fetch(path)?;
        let mut answer: Value = serde_json::from_str(&text).with_context(|| format!("read {text}"))?;
        Ok(answer["data"].take())
    }

    fn fetch(&self, path: &str) -> Result<String> {
        let mut wget = self.command("/bin/busybox".as_ref())?;
        process::output(wget.args(["wget", "-q", "-O", "-", &format!("{}{path}", self.url())]))
    }

    fn command(&self, program: &Path) -> Result<Command> {
        let cluster = if self.inside { Some(Cluster::find()?) } else { None };
        within(cluster.as_ref(), program)
    }
}

/// Reads what `promtool query instant --format=json` prints: an array of series, or a number with its time.
fn samples(answer: &Value) -> Result<Vec<Sample>> {
    let number = |text: &Value| -> Result<f64> {
        let text = text.as_str().context("a number is missing")?;
        // `+Inf` and `NaN` are read, too.
        text.parse().with_context(|| format!("read the number {text}"))
    };
    let series = answer.as_array().context("no array")?;
    if let [time, value @ Value::String(_)] = &series[..]
        && time.is_number()
    {
        return Ok(vec![Sample { labels: Value::Null, value: number(value)? }]);
    }
    let sample = |one: &Value| {
        let value = if one["histogram"].is_null() { &one["value"][1] } else { &one["histogram"][1]["count"] };
        Ok(Sample { labels: one["metric"].clone(), value: number(value)? })
    };
    series.iter().map(sample).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read() {
        let vector = json!([{"metric": {"run": "a"}, "value": [1.5, "+Inf"]}, {"metric": {}, "histogram": [1.5, {"count": "7"}]}]);
        let read = samples(&vector).unwrap();
        assert_eq!(read.iter().map(|sample| sample.value).collect::<Vec<_>>(), [f64::INFINITY, 7.0]);
        assert_eq!(read[0].labels, json!({"run": "a"}));
        assert_eq!(samples(&json!([1.5, "3"])).unwrap()[0].value, 3.0);
        assert!(samples(&json!({})).is_err());
    }
}
