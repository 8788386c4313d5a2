//! What the tests against a real API server share: the control plane with the chart's roles, operators as processes, a stand-in for
//! the kubelet (`kubelet.rs`) that runs worker processes in place of pods, and waiting for what a run becomes.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "helpers of tests fail by panicking; no test uses all of them"
)]

pub(crate) mod balancer;
pub(crate) mod kubelet;
pub(crate) mod operator;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use plimsoll_api::v1alpha1::{LoadTest, LoadTestRun, LoadTestRunStatus, LoadTestStatus, Verdict};
use plimsoll_testbed::{Config as TestbedConfig, Testbed};
use serde_json::{Value, json};
use xtask::binaries::{self, Profile};
use xtask::control_plane::{ControlPlane, Controllers};
use xtask::{process, report, tools};

use self::kubelet::Kubelet;
use self::operator::Operator;

/// How long anything may take that is not load: five times what is usual.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// Namespace of the operator.
pub(crate) const HOME: &str = "plimsoll-system";

/// One control plane, and whatever runs against it.
pub(crate) struct Stage {
    pub(crate) plane: Mutex<ControlPlane>,
    pub(crate) client: Client,
    pub(crate) kubelet: Kubelet,
    pub(crate) folder: PathBuf,
    pub(crate) programs: BTreeMap<String, PathBuf>,
    pub(crate) kubeconfig: PathBuf,
}

/// The runtime of all helpers of a test program.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    });
    runtime.block_on(work)
}

/// Whether these tests can run here; says so loudly if not.
pub(crate) fn able(what: &str) -> bool {
    let needed = [&ControlPlane::PROGRAMS[..], &["kube-controller-manager", "helm"]].concat();
    match tools::require(&needed) {
        Ok(()) => true,
        Err(why) => {
            report::skip(what, &format!("{why:#}")).unwrap();
            false
        }
    }
}

impl Stage {
    /// Starts the control plane, applies the CRDs and the chart's roles, and begins to play kubelet.
    pub(crate) fn new(name: &str) -> Arc<Self> {
        let programs = binaries::build(&["plimsoll-operator", "plimsoll-worker"], Profile::Dev).unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let plane = ControlPlane::start(&folder, Controllers::All).unwrap();
        let root = xtask::paths::root();
        let kubectl = |arguments: &[&str]| process::output(plane.kubectl().unwrap().args(arguments)).unwrap();
        kubectl(&["apply", "--server-side", "-f", root.join("crds").to_str().unwrap()]);
        kubectl(&["create", "namespace", HOME]);
        let mut helm = Command::new(tools::find("helm").unwrap());
        helm.args(["template", "plimsoll"]).arg(root.join("charts/plimsoll")).args(["--namespace", HOME]);
        helm.args(["--show-only", "templates/serviceaccount.yaml", "--show-only", "templates/rbac.yaml"]);
        let roles = folder.join("roles.yaml");
        std::fs::write(&roles, process::output(&mut helm).unwrap()).unwrap();
        kubectl(&["apply", "-f", roles.to_str().unwrap()]);
        let token = kubectl(&["create", "token", "plimsoll-operator", "--namespace", HOME, "--duration=1h"]);
        let kubeconfig = plane.kubeconfig_for("operator", &token).unwrap();
        block_on(async {
            let config = kube::config::Kubeconfig::read_from(plane.kubeconfig()).unwrap();
            let options = kube::config::KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(config, &options).await.unwrap();
            let client = Client::try_from(config).unwrap();
            let kubelet =
                Kubelet::start(client.clone(), programs["plimsoll-worker"].clone(), folder.join("pods"));
            Arc::new(Self { plane: Mutex::new(plane), client, kubelet, folder, programs, kubeconfig })
        })
    }

    /// A namespace of the test's own, with its default service account, which may take long after an outage of the API server: the
    /// controllers come back when they like.
    pub(crate) async fn namespace(self: &Arc<Self>, name: &str) -> Space {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
            Api::namespaced(self.client.clone(), name);
        until("the default service account", Duration::from_secs(120), async || {
            accounts.get_opt("default").await.unwrap()
        })
        .await;
        Space { stage: Arc::clone(self), name: name.to_owned() }
    }

    /// An operator of this stage.
    pub(crate) fn operator(&self, name: &str, more: &[&str]) -> Operator {
        Operator::start(self, name, more)
    }

    /// Writes of the operator's service account to objects of a namespace.
    pub(crate) fn writes(&self, namespace: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.plane.lock().unwrap().audit_log()).unwrap();
        let mut writes = Vec::new();
        for line in log.lines() {
            let Ok(entry) = serde_json::from_str::<Value>(line) else { continue };
            let by_operator =
                entry["user"]["username"] == "system:serviceaccount:plimsoll-system:plimsoll-operator";
            if by_operator
                && entry["objectRef"]["namespace"] == namespace
                && entry["stage"] == "ResponseComplete"
            {
                let part = |field: &str| entry["objectRef"][field].as_str().unwrap_or_default().to_owned();
                let verb = entry["verb"].as_str().unwrap_or_default();
                writes.push(format!("{verb} {}/{} {}", part("resource"), part("subresource"), part("name")));
            }
        }
        writes
    }
}

/// A namespace of one test.
pub(crate) struct Space {
    pub(crate) stage: Arc<Stage>,
    pub(crate) name: String,
}

impl Space {
    fn tests(&self) -> Api<LoadTest> {
        Api::namespaced(self.stage.client.clone(), &self.name)
    }

    pub(crate) fn runs(&self) -> Api<LoadTestRun> {
        Api::namespaced(self.stage.client.clone(), &self.name)
    }

    /// A LoadTest.
    pub(crate) async fn test(&self, name: &str) -> Option<LoadTest> {
        self.tests().get_opt(name).await.unwrap()
    }

    /// The newest run of a test.
    pub(crate) async fn newest(&self, test: &str) -> LoadTestRun {
        let runs = self.runs().list(&ListParams::default()).await.unwrap().items.into_iter();
        let ours = runs.filter(|run| run.spec.test_ref.name == test);
        ours.max_by_key(|run| run.metadata.creation_timestamp.clone().map(|time| time.0)).unwrap()
    }

    /// Name of the newest run of a test, once there is one.
    pub(crate) async fn newest_name(&self, test: &str) -> Option<String> {
        let runs = self.runs().list(&ListParams::default()).await.ok()?.items.into_iter();
        let ours = runs.filter(|run| run.spec.test_ref.name == test);
        ours.max_by_key(|run| run.metadata.creation_timestamp.clone().map(|time| time.0))?.metadata.name
    }

    /// Applies a LoadTest with this spec.
    pub(crate) async fn apply(&self, name: &str, spec: Value) -> LoadTest {
        let test = json!({"apiVersion": "plimsoll.dev/v1alpha1", "kind": "LoadTest", "metadata": {"name": name}, "spec": spec});
        self.tests().patch(name, &PatchParams::apply("a-user").force(), &Patch::Apply(&test)).await.unwrap()
    }

    /// Makes a ConfigMap.
    pub(crate) async fn create_config_map(&self, map: &Value) {
        let maps: Api<ConfigMap> = Api::namespaced(self.stage.client.clone(), &self.name);
        maps.create(&PostParams::default(), &serde_json::from_value(map.clone()).unwrap()).await.unwrap();
    }

    /// Deletes a LoadTest.
    pub(crate) async fn delete(&self, name: &str) {
        self.tests().delete(name, &DeleteParams::background()).await.unwrap();
    }

    /// The newest run of a test, once `wanted` answers something of its status.
    pub(crate) async fn run_until<T>(
        &self,
        test: &str,
        what: &str,
        mut wanted: impl FnMut(&LoadTestRunStatus) -> Option<T>,
    ) -> T {
        let seen = Mutex::new(String::new());
        let found = until_or(PATIENCE, async || {
            let runs = self.runs().list(&ListParams::default()).await.ok()?;
            let ours = runs.items.into_iter().filter(|run| run.spec.test_ref.name == test);
            let newest = ours.max_by_key(|run| run.metadata.creation_timestamp.clone().map(|time| time.0))?;
            *seen.lock().unwrap() = serde_json::to_string(&newest.status).unwrap();
            wanted(newest.status.as_ref()?)
        })
        .await;
        found.unwrap_or_else(|| {
            panic!("{}/{test}: waited for {what}; its run says {}", self.name, seen.lock().unwrap())
        })
    }

    /// The run's status at its end.
    pub(crate) async fn finished(&self, test: &str) -> LoadTestRunStatus {
        self.run_until(test, "the verdict", |status| status.verdict.is_some().then(|| status.clone())).await
    }

    /// The test's status once it mirrors a verdict.
    pub(crate) async fn mirrored(&self, test: &str) -> LoadTestStatus {
        until("the mirrored verdict", PATIENCE, async || {
            let found = self.tests().get(test).await.ok()?;
            found.status.filter(|status| status.verdict.is_some())
        })
        .await
    }

    /// Waits for a phase of the newest run.
    pub(crate) async fn phase(&self, test: &str, phase: &str) {
        self.run_until(test, phase, |status| (status.phase.as_deref() == Some(phase)).then_some(())).await;
    }

    /// Events of the namespace: reason and note.
    pub(crate) async fn events(&self) -> Vec<(String, String)> {
        let events: Api<Event> = Api::namespaced(self.stage.client.clone(), &self.name);
        let told = events.list(&ListParams::default()).await.unwrap().items.into_iter();
        told.map(|event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default())).collect()
    }

    /// The run passed, and its count is the target's.
    pub(crate) async fn assert_true(&self, target: &Testbed) {
        let status = self.finished("web").await;
        let message = status.message.clone().unwrap_or_default();
        assert_eq!((status.verdict, status.workers.unwrap().lost), (Some(Verdict::Passed), 0), "{message}");
        let total = status.summary.unwrap().total.unwrap();
        assert!(total.exact);
        assert_eq!(total.sent, target.stats().received());
        assert_eq!(self.result().await.snapshot.total().sent, total.sent);
        // One run, and nothing of it waits for an operator.
        let runs = self.runs().list(&ListParams::default()).await.unwrap().items;
        assert_eq!(runs.len(), 1);
        until("the end of the finalizer", PATIENCE, async || {
            self.newest("web").await.metadata.finalizers.is_none_or(|all| all.is_empty()).then_some(())
        })
        .await;
        until("the release of the workers", PATIENCE, async || {
            self.stage.kubelet.pid_of(&format!("{}/", self.name)).is_none().then_some(())
        })
        .await;
    }

    /// The stored result of the only run of a test.
    pub(crate) async fn result(&self) -> plimsoll_api::status::StoredResult {
        let maps: Api<ConfigMap> = Api::namespaced(self.stage.client.clone(), &self.name);
        let all = maps.list(&ListParams::default()).await.unwrap().items;
        let map = all.iter().find(|map| map.name_any().ends_with("-result")).unwrap();
        plimsoll_manifests::read_result(map).unwrap()
    }
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, limit: Duration, ask: impl AsyncFnMut() -> Option<T>) -> T {
    until_or(limit, ask).await.unwrap_or_else(|| panic!("waited {}s for {what}", limit.as_secs()))
}

async fn until_or<T>(limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

/// A target that answers every path at once, and counts.
pub(crate) fn target() -> Testbed {
    Testbed::start(TestbedConfig::default()).unwrap()
}

/// A spec: so many users for so long, with a pause, against a target.
pub(crate) fn spec(url: &str, users: u32, seconds: u32, workers: u32) -> Value {
    json!({
        "target": {"url": url},
        "profile": {"users": users, "duration": format!("{seconds}s"), "gracefulStop": "2s"},
        "scenarios": [{"name": "get", "wait": {"min": "20ms", "max": "20ms"}, "steps": [{"name": "GET /", "http": {"path": "/"}}]}],
        "slos": [{"name": "errors", "errorRate": {"atMost": "1%"}}, {"name": "p95", "latency": {"stat": "p95", "atMost": "1s"}}],
        // Workers, servers and compilers share two cores here: when each one starts is not what these tests are about.
        "validity": {"maxStartSkew": "5s", "maxLateness": "2s"},
        "workers": {"count": workers, "threads": 1},
    })
}
