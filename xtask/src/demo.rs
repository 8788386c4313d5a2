//! `cargo xtask demo`: everything once, on a real cluster: the chart, nginx as the service under load, the example of the README as a
//! LoadTest, and its verdict. Leaves the cluster up for what its last lines propose.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::binaries::Profile;
use crate::cluster::{Cluster, NODE_ADDRESS};
use crate::nginx::{self, Site};
use crate::process::{self, Recorded};
use crate::report::step;
use crate::{chart, image, paths, tools};

/// The namespace of the service and its test.
const NAMESPACE: &str = "demo";

/// The service's name; the manifest that is applied is the example with this for its target.
const SERVICE: &str = "shop";

/// The name of the LoadTest in the example.
const TEST: &str = "quickstart";

/// Where nginx listens on the node.
const PORT: u16 = 8088;

/// What nginx answers: a small shop.
const LOCATIONS: &str = r#"
        default_type application/json;
        location = /api/items { return 200 '{"items": ["tea", "cup", "pot"]}'; }
        location = /api/orders { return 201 '{"order": 1}'; }
"#;

/// Runs the demo.
///
/// # Errors
/// If something does not start, or the test ends with anything but Passed.
pub fn run(profile: Profile) -> Result<()> {
    tools::install()?;
    let cluster = Cluster::up()?;
    if !cluster.is_own() {
        bail!("the demo brings up a cluster of its own, with nginx beside it: run it without KUBECONFIG");
    }
    image::all(profile)?;
    chart::install(&cluster)?;
    let folder = cluster.folder("demo")?;
    step("nginx, and a Service that leads to it", || {
        serve(&cluster, &folder)?;
        make_service(&cluster)
    })?;

    let target = format!("http://{SERVICE}.{NAMESPACE}:8080");
    println!(
        "\n$ sed 's|http://localhost:8080|{target}|' examples/quickstart.yaml | kubectl apply -n {NAMESPACE} -f -"
    );
    let before = seen(&folder)?;
    apply_example(&cluster, &target)?;
    println!("\n$ kubectl get loadtest {TEST} -n {NAMESPACE} --watch");
    watch(&cluster)?;

    let field = |path: &str| field(&cluster, path);
    println!("\n{}", field(".status.message")?);
    println!(
        "sent: {}, lines in nginx' log: {}",
        field(".status.summary.total.sent")?,
        seen(&folder)? - before
    );
    let verdict = field(".status.verdict")?;
    propose(&cluster, &folder)?;
    if verdict != "Passed" {
        bail!("the verdict is {verdict}");
    }
    Ok(())
}

/// Starts nginx, which stays until the cluster is taken down.
fn serve(cluster: &Cluster, folder: &Path) -> Result<()> {
    let processes = folder.join("processes");
    if Recorded::all(&processes)?.iter().any(Recorded::alive) {
        return Ok(());
    }
    let listen = SocketAddr::from((NODE_ADDRESS, PORT));
    let mut command =
        nginx::prepare(&Site { folder, listen, server: LOCATIONS, http: "", inside: Some(cluster) })?;
    let log = folder.join("nginx.log");
    let nginx = Recorded::start(&processes, "nginx", &mut command, &log)?;
    process::wait_until("nginx", Duration::from_secs(20), || {
        if !nginx.alive() {
            bail!("nginx ended:\n{}", process::last_lines(&log, 15));
        }
        Ok(folder.join("nginx.pid").exists())
    })
}

/// A Service without a selector, and the node's address behind it.
fn make_service(cluster: &Cluster) -> Result<()> {
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"ports": [{"name": "http", "port": 8080}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": SERVICE}},
            "endpoints": [{"addresses": [NODE_ADDRESS.to_string()]}], "ports": [{"name": "http", "port": PORT}]},
    ]});
    apply(cluster, &objects.to_string())?;
    cluster.wait_for_name(&format!("{SERVICE}.{NAMESPACE}.svc.cluster.local"))
}

/// Applies the example with another target. A test of a former demo goes first: applying the same again would start nothing.
fn apply_example(cluster: &Cluster, target: &str) -> Result<()> {
    let mut delete = cluster.kubectl()?;
    delete.args(["delete", "loadtest", TEST, "--namespace", NAMESPACE, "--ignore-not-found"]);
    process::output(&mut delete)?;
    let path = paths::root().join("examples/quickstart.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    apply(cluster, &text.replace("http://localhost:8080", target))
}

fn apply(cluster: &Cluster, objects: &str) -> Result<()> {
    let mut command = cluster.kubectl()?;
    command.args(["apply", "--namespace", NAMESPACE, "--filename=-"]).stdin(Stdio::piped());
    let mut child = command.spawn().context("start kubectl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(objects.as_bytes())?;
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` ended with {status}", process::text(&command));
    }
    Ok(())
}

/// Shows what `kubectl get --watch` shows, until the test is finished.
fn watch(cluster: &Cluster) -> Result<()> {
    let mut command: Command = cluster.kubectl()?;
    command.args(["get", "loadtest", TEST, "--namespace", NAMESPACE, "--watch"]).stdout(Stdio::piped());
    let mut child = command.spawn().context("start kubectl")?;
    let stdout = child.stdout.take().context("kubectl has no standard output")?;
    let mut finished = false;
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        finished = line.split_whitespace().nth(1) == Some("Finished");
        if finished {
            break;
        }
    }
    // It would watch for ever.
    let _ = child.kill();
    child.wait()?;
    if !finished {
        bail!("the watch ended before the test did\n{}", chart::story(cluster));
    }
    Ok(())
}

fn field(cluster: &Cluster, path: &str) -> Result<String> {
    let mut get = cluster.kubectl()?;
    get.args(["get", "loadtest", TEST, "--namespace", NAMESPACE]);
    process::output(get.arg(format!("--output=jsonpath={{{path}}}")))
}

/// Lines of nginx' log.
fn seen(folder: &Path) -> Result<usize> {
    let log = folder.join("access.log");
    let text = std::fs::read(&log).with_context(|| format!("read {}", log.display()))?;
    Ok(text.iter().filter(|byte| **byte == b'\n').count())
}

fn propose(cluster: &Cluster, folder: &Path) -> Result<()> {
    let kubectl = tools::find("kubectl")?;
    println!(
        r#"
What to try next:

    export KUBECONFIG={kubeconfig}
    alias kubectl={kubectl}
    kubectl explain loadtest.spec.profile
    kubectl get loadtest {TEST} -n {NAMESPACE} -o yaml              # every number of the verdict
    kubectl describe loadtestruns -n {NAMESPACE}                    # and the events on the way to it
    tail -f {log}

    # Once more with three workers and twice the users; the definition stays as it is.
    kubectl create -n {NAMESPACE} -f - <<YAML
    {{apiVersion: plimsoll.dev/v1alpha1, kind: LoadTestRun, metadata: {{generateName: {TEST}-}},
     spec: {{testRef: {{name: {TEST}}}, overrides: {{profile: {{users: 40}}, workers: {{count: 3}}}}}}}}
    YAML

    # A line that cannot hold: the edit starts a run, which fails and says by how much.
    kubectl patch loadtest {TEST} -n {NAMESPACE} --type=json \
        -p '[{{"op": "replace", "path": "/spec/slos/0/latency/atMost", "value": "100us"}}]'
    kubectl get loadtests -n {NAMESPACE} --watch

The cluster stays up. `cargo xtask cluster down` takes it down, nginx with it."#,
        kubeconfig = cluster.kubeconfig().display(),
        kubectl = kubectl.display(),
        log = folder.join("access.log").display(),
    );
    Ok(())
}
