//! A real OpenTelemetry Collector (`xtask/tools/collector`) as the receiver of tests: what reached it is read from the files that its
//! exporter writes. It listens on loopback, or in the network of the cluster (`cluster/`), where pods reach it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cluster::Cluster;
use crate::process::{self, Guarded};
use crate::tools;

/// How the Collector is to listen.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Receives configuration, log and what was received; is made, and should be empty.
    pub folder: &'a Path,
    /// The address to listen on.
    pub ip: IpAddr,
    /// Ports of gRPC and of HTTP.
    pub ports: (u16, u16),
    /// Certificate and key, PEM files; with the authority whose clients are let in. None: no TLS.
    pub tls: Option<(&'a Path, &'a Path, Option<&'a Path>)>,
    /// A header whose value is noted with each request.
    pub show_header: Option<&'a str>,
    /// The cluster whose network to listen in; without one it is the host's.
    pub inside: Option<&'a Cluster>,
}

impl<'a> Setup<'a> {
    /// On two free ports of loopback, without TLS.
    ///
    /// # Errors
    /// If there are no free ports.
    pub fn on_loopback(folder: &'a Path) -> Result<Self> {
        let [grpc, http] = process::free_ports()?;
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Ok(Self { folder, ip, ports: (grpc, http), tls: None, show_header: None, inside: None })
    }
}

/// A running Collector; it ends with this value and with this process.
#[derive(Debug)]
pub struct Collector {
    folder: PathBuf,
    grpc: SocketAddr,
    http: SocketAddr,
    process: Guarded,
}

/// Starts a Collector and waits until it accepts connections.
///
/// # Errors
/// If it was not built, or does not start; the text quotes its log.
pub fn start(setup: &Setup<'_>) -> Result<Collector> {
    std::fs::create_dir_all(setup.folder).with_context(|| format!("make {}", setup.folder.display()))?;
    let folder = setup.folder.canonicalize()?;
    let config = folder.join("collector.json");
    std::fs::write(&config, configuration(setup, &folder).to_string())?;
    let program = tools::find("collector")?;
    let mut command = match setup.inside {
        Some(cluster) => cluster.inside(&program)?,
        None => Command::new(&program),
    };
    command.arg("--config").arg(&config);
    let log = folder.join("collector.log");
    let mut process = Guarded::start("collector", &mut command, &log)?;
    let grpc = SocketAddr::new(setup.ip, setup.ports.0);
    let http = SocketAddr::new(setup.ip, setup.ports.1);
    process::wait_until("the Collector", Duration::from_secs(20), || {
        process.check()?;
        let ready = std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Everything is ready"));
        Ok(ready
            && (setup.inside.is_some()
                || (TcpStream::connect(grpc).is_ok() && TcpStream::connect(http).is_ok())))
    })?;
    Ok(Collector { folder, grpc, http, process })
}

impl Collector {
    /// Where it takes gRPC.
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Where it takes HTTP.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// What was received of a signal (`metrics`, `traces`, `logs`) so far: OTLP's JSON, one value a request.
    ///
    /// # Errors
    /// If a line cannot be read.
    pub fn received(&self, signal: &str) -> Result<Vec<Value>> {
        let path = self.folder.join(format!("{signal}.json"));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        // A line that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// Every data point of a metric, in the order in which they came, each with the attributes of its resource.
    ///
    /// # Errors
    /// As [`Collector::received`].
    pub fn points(&self, metric: &str) -> Result<Vec<Received>> {
        let mut points = Vec::new();
        for request in self.received("metrics")? {
            let request = request.get("request").unwrap_or(&request);
            for resource in list(request, "/resourceMetrics") {
                for found in list(resource, "/scopeMetrics").iter().flat_map(|scope| list(scope, "/metrics"))
                {
                    if found["name"] != metric {
                        continue;
                    }
                    let kinds = ["sum", "gauge", "exponentialHistogram", "histogram"];
                    let data = kinds.iter().find_map(|kind| found.get(kind));
                    points.extend(data.into_iter().flat_map(|data| list(data, "/dataPoints")).map(|point| {
                        Received {
                            resource: attributes(&resource["resource"]),
                            attributes: attributes(point),
                            cumulative: data.is_some_and(|data| data["aggregationTemporality"] == 2),
                            point: point.clone(),
                        }
                    }));
                }
            }
        }
        Ok(points)
    }

    /// Ends it; what it received stays in its folder.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(self) -> Result<()> {
        self.process.stop("TERM", Duration::from_secs(10)).map(drop)
    }
}

/// A data point as the Collector got it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Attributes of the resource.
    pub resource: std::collections::BTreeMap<String, String>,
    /// Attributes of the point.
    pub attributes: std::collections::BTreeMap<String, String>,
    /// Whether its metric is cumulative.
    pub cumulative: bool,
    /// The point in OTLP's JSON.
    pub point: Value,
}

impl Received {
    /// The value of a number, or the count of a histogram.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        let text = self.point.get("asInt").or_else(|| self.point.get("count"))?;
        text.as_u64().or_else(|| text.as_str()?.parse().ok())
    }

    /// Filled buckets of an exponential histogram, as `(index, count)`.
    #[must_use]
    pub fn buckets(&self) -> Vec<(i32, u64)> {
        let positive = &self.point["positive"];
        let offset = positive["offset"].as_i64().and_then(|offset| i32::try_from(offset).ok()).unwrap_or(0);
        let count = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0);
        let counts = list(positive, "/bucketCounts").iter().map(count);
        (offset..).zip(counts).filter(|(_, count)| *count > 0).collect()
    }
}

/// A list in OTLP's JSON; one that is not there is empty.
pub fn list<'a>(of: &'a Value, pointer: &str) -> &'a [Value] {
    of.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Text and number attributes of a resource, point, span or record.
pub fn attributes(of: &Value) -> std::collections::BTreeMap<String, String> {
    let text = |value: &Value| {
        let inner = value.as_object().and_then(|value| value.values().next()).cloned().unwrap_or_default();
        inner.as_str().map_or_else(|| inner.to_string(), str::to_owned)
    };
    let pair = |pair: &Value| (pair["key"].as_str().unwrap_or_default().to_owned(), text(&pair["value"]));
    list(of, "/attributes").iter().map(pair).collect()
}

fn configuration(setup: &Setup<'_>, folder: &Path) -> Value {
    let tls = setup.tls.map(|(certificate, key, clients)| {
        let mut tls = serde_json::json!({"cert_file": certificate, "key_file": key});
        clients.into_iter().for_each(|clients| tls["client_ca_file"] = serde_json::json!(clients));
        tls
    });
    let receiver = |port: u16| {
        let endpoint = SocketAddr::new(setup.ip, port).to_string();
        let mut receiver = serde_json::json!({"endpoint": endpoint, "include_metadata": true});
        tls.iter().for_each(|tls| receiver["tls"] = tls.clone());
        receiver
    };
    let pipeline = serde_json::json!({"receivers": ["otlp"], "exporters": ["files"]});
    serde_json::json!({
        "receivers": {"otlp": {"protocols": {"grpc": receiver(setup.ports.0), "http": receiver(setup.ports.1)}}},
        "exporters": {"files": {"folder": folder, "show_header": setup.show_header.unwrap_or_default()}},
        "service": {
            "pipelines": {"metrics": pipeline, "traces": pipeline, "logs": pipeline},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_as_otlp_writes_them() {
        let point = serde_json::json!({
            "count": "3", "attributes": [{"key": "request", "value": {"stringValue": "home"}}],
            "positive": {"offset": -2, "bucketCounts": ["1", "0", "2"]},
        });
        let received = Received {
            resource: attributes(&point),
            attributes: attributes(&point),
            cumulative: true,
            point,
        };
        assert_eq!(received.count(), Some(3));
        assert_eq!(received.buckets(), [(-2, 1), (0, 2)]);
        assert_eq!(received.attributes["request"], "home");
    }
}
