//! The pod of a worker: restricted security, the plan, a token of our own audience, secrets and config maps by reference.
//! The user's `workers.template` is merged over it in `template.rs`; paths and variables are read by `worker/src/main.rs`.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_api::v1alpha1::{HeadersFrom, KeyRef, LoadTestRun, Otlp, OtlpProtocol};
use plimsoll_plan::Plan;
use plimsoll_scenario::VarSource;
use serde_json::{Value, json};

use crate::names::{CONTAINER, RUN_LABEL, RUN_UID_LABEL, VOLUME_PREFIX, labels, plan_name};
use crate::{BuildError, Frozen, Settings, template};

/// Audience of the worker's token; the operator's TokenReview asks for the same (`operator/src/authenticate.rs`).
const AUDIENCE: &str = "plimsoll";
/// Where the worker serves its health and metrics. Nothing probes it: a generator that is short of CPU must not be ended for it.
pub(crate) const METRICS_PORT: u16 = 8081;
/// Where the worker can be asked to log more: inside of the pod only.
const ADMIN: &str = "127.0.0.1:6060";
/// Seconds a token lives; the kubelet renews it at 80 %.
const TOKEN_SECONDS: u32 = 3600;

/// The pod template of a run's Job.
pub(crate) fn template(run: &LoadTestRun, frozen: &Frozen, settings: &Settings) -> Result<Value, BuildError> {
    let name = run.metadata.name.as_deref().ok_or(BuildError::NoName)?;
    let workers = frozen.spec.workers.as_ref();
    let resources = match workers.and_then(|workers| workers.resources.as_ref()) {
        Some(resources) => json!(resources),
        None => json!(settings.resources),
    };
    let mounts = mounts(&frozen.plan, name);
    let mut labels = labels(&frozen.plan.run.test, name);
    labels.extend(run.metadata.uid.clone().map(|uid| (RUN_UID_LABEL.to_owned(), uid)));
    let mut ours = json!({
        "metadata": {"labels": labels},
        "spec": {
            "restartPolicy": "Never",
            "enableServiceLinks": false,
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": grace(&frozen.plan),
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"},
            ],
            "containers": [{
                "name": CONTAINER,
                "image": settings.worker_image,
                "imagePullPolicy": settings.pull_policy,
                "env": env(name, frozen, settings),
                "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
                "resources": resources,
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": mounts.iter().map(|(volume, path, _)| json!(
                    {"name": volume, "mountPath": path, "readOnly": true}
                )).collect::<Vec<_>>(),
            }],
            "volumes": mounts.iter().map(|(volume, _, source)| {
                let mut source = source.clone();
                source["name"] = json!(volume);
                source
            }).collect::<Vec<_>>(),
        },
    });
    if settings.scrape_annotations {
        ours["metadata"]["annotations"] = json!({
            "prometheus.io/scrape": "true",
            "prometheus.io/port": METRICS_PORT.to_string(),
            "prometheus.io/path": "/metrics",
        });
    }
    if !settings.pull_secrets.is_empty() {
        ours["spec"]["imagePullSecrets"] =
            settings.pull_secrets.iter().map(|name| json!({"name": name})).collect();
    }
    if let Some(theirs) = workers.and_then(|workers| workers.template.as_ref()) {
        template::merge(&mut ours, theirs)?;
    }
    spread_selector(&mut ours, name);
    Ok(ours)
}

/// Seconds from the wish to end a pod to its end by force: what is in flight may finish, and what was measured be handed in.
fn grace(plan: &Plan) -> u64 {
    (plan.graceful_stop.saturating_add(plan.teardown_time()).div_ceil(1_000_000_000) + 15).min(900)
}

/// A constraint without a selector would spread nothing; the pods of the run are what is meant.
fn spread_selector(template: &mut Value, run: &str) {
    let constraints = template.pointer_mut("/spec/topologySpreadConstraints").and_then(Value::as_array_mut);
    for constraint in constraints.into_iter().flatten().filter_map(Value::as_object_mut) {
        if constraint.get("labelSelector").is_none_or(Value::is_null) {
            constraint.insert("labelSelector".into(), json!({"matchLabels": {RUN_LABEL: run}}));
        }
    }
}

/// Variables of the worker. `JOB_COMPLETION_INDEX` is set by the Job controller.
fn env(run: &str, frozen: &Frozen, settings: &Settings) -> Value {
    let field =
        |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let mut env = vec![
        field("PLIMSOLL_RUN_NAMESPACE", "metadata.namespace"),
        json!({"name": "PLIMSOLL_RUN_NAME", "value": run}),
        json!({"name": "PLIMSOLL_TEST_NAME", "value": frozen.plan.run.test}),
        json!({"name": "PLIMSOLL_OPERATOR", "value": settings.operator_address}),
        json!({"name": "PLIMSOLL_OPERATOR_NAME", "value": settings.operator_name}),
        json!({"name": "PLIMSOLL_LISTEN_HTTP", "value": format!("0.0.0.0:{METRICS_PORT}")}),
        json!({"name": "PLIMSOLL_LISTEN_ADMIN", "value": ADMIN}),
        field("POD_UID", "metadata.uid"),
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        field("NODE_NAME", "spec.nodeName"),
    ];
    if let Some(threads) = frozen.spec.workers.as_ref().and_then(|workers| workers.threads) {
        env.push(json!({"name": "PLIMSOLL_THREADS", "value": threads.to_string()}));
    }
    let telemetry = frozen.spec.telemetry.as_ref();
    env.extend(telemetry.and_then(|telemetry| telemetry.otlp.as_ref()).into_iter().flat_map(otlp));
    json!(env)
}

/// Where the worker sends its telemetry, as the variables that every OpenTelemetry SDK knows; so `workers.template` may add others.
fn otlp(otlp: &Otlp) -> Vec<Value> {
    let protocol = match otlp.protocol.unwrap_or(OtlpProtocol::Grpc) {
        OtlpProtocol::Grpc => "grpc",
        OtlpProtocol::Http => "http/protobuf",
    };
    let mut env = vec![
        json!({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": otlp.endpoint}),
        json!({"name": "OTEL_EXPORTER_OTLP_PROTOCOL", "value": protocol}),
    ];
    if let Some(HeadersFrom { secret_key_ref: KeyRef { name, key } }) = &otlp.headers_from {
        let source = json!({"secretKeyRef": {"name": name, "key": key}});
        env.push(json!({"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": source}));
    }
    env
}

/// Volumes: name, where, source.
fn mounts(plan: &Plan, run: &str) -> Vec<(String, String, Value)> {
    let volume = |name: &str| format!("{VOLUME_PREFIX}{name}");
    let mut mounts = vec![
        (
            volume("plan"),
            "/etc/plimsoll/plan".to_owned(),
            json!({"configMap": {"name": plan_name(run), "items": [item("plan.json"), item("ca.crt")]}}),
        ),
        (
            volume("token"),
            "/var/run/secrets/plimsoll".to_owned(),
            json!({"projected": {"sources": [{"serviceAccountToken": {
                "audience": AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token",
            }}]}}),
        ),
    ];
    for (volume, source, keys) in volumes(plan) {
        let items: Vec<Value> = keys.iter().map(|key| item(key)).collect();
        mounts.push(match source {
            Source::Secret(name) => {
                let source = json!({"secret": {"secretName": name, "items": items}});
                (volume, format!("/etc/plimsoll/secrets/{name}"), source)
            }
            Source::ConfigMap(name) => {
                let source = json!({"configMap": {"name": name, "items": items}});
                (volume, format!("/etc/plimsoll/configs/{name}"), source)
            }
        });
    }
    mounts
}

fn item(key: &str) -> Value {
    json!({"key": key, "path": key})
}

/// What a volume of a worker's pod is made of, as `Secret NAME` or `ConfigMap NAME`; nothing if it is not one of the user's objects. A
/// kubelet that misses a key names the volume alone.
#[must_use]
pub fn mounted(plan: &Plan, volume: &str) -> Option<String> {
    let found = volumes(plan).into_iter().find(|(name, ..)| name == volume)?;
    Some(match found.1 {
        Source::Secret(name) => format!("Secret {name}"),
        Source::ConfigMap(name) => format!("ConfigMap {name}"),
    })
}

/// An object of the user's.
#[derive(Clone, Copy)]
enum Source<'a> {
    Secret(&'a str),
    ConfigMap(&'a str),
}

/// Volumes with values of the plan: name, source, keys.
fn volumes(plan: &Plan) -> Vec<(String, Source<'_>, BTreeSet<&str>)> {
    let (secrets, configs) = references(plan);
    let secrets = secrets.into_iter().enumerate();
    let configs = configs.into_iter().enumerate();
    let secrets = secrets
        .map(|(index, (name, keys))| (format!("{VOLUME_PREFIX}secret-{index}"), Source::Secret(name), keys));
    let configs = configs.map(|(index, (name, keys))| {
        (format!("{VOLUME_PREFIX}config-{index}"), Source::ConfigMap(name), keys)
    });
    secrets.chain(configs).collect()
}

type Keys<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// The keys of Secrets and of ConfigMaps that the plan refers to; only they are mounted.
fn references(plan: &Plan) -> (Keys<'_>, Keys<'_>) {
    let (mut secrets, mut configs) = (Keys::new(), Keys::new());
    let tls = plan.target.tls.as_ref();
    let vars = plan.vars.iter().map(|var| &var.from);
    let data = plan.script.data.iter().map(|data| &data.from);
    let sources = vars.chain(data).chain(tls.and_then(|tls| tls.ca.as_ref()));
    for source in sources {
        match source {
            VarSource::Value(_) => {}
            VarSource::Secret { name, key } => drop(secrets.entry(name).or_default().insert(key)),
            VarSource::ConfigMap { name, key } => drop(configs.entry(name).or_default().insert(key)),
        }
    }
    if let Some(name) = tls.and_then(|tls| tls.client_secret.as_deref()) {
        secrets.entry(name).or_default().extend(["tls.crt", "tls.key"]);
    }
    (secrets, configs)
}
