//! Why workers are not there yet, in the words of the pods, the Job and their events. Pure; `reconcile/observe.rs` brings the
//! objects, `reconcile/decide.rs` puts the answer into the status.

use std::time::Duration;

use k8s_openapi::api::core::v1::ContainerStatus;
use k8s_openapi::jiff::Timestamp;
use plimsoll_manifests::index_of;
use plimsoll_session::LastWords;

use crate::objects::{WorkerJob, WorkerPod};

/// A worker's pod, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodView {
    /// Its share of the plan.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: String,
    /// Its UID.
    pub(crate) uid: String,
    /// When it was made.
    pub(crate) created: Option<Timestamp>,
    /// Succeeded or Failed: no container will run again.
    pub(crate) ended: bool,
    /// Somebody deletes it.
    pub(crate) deleting: bool,
    /// What keeps it from running, or ended it.
    pub(crate) trouble: Option<Trouble>,
}

/// What is wrong with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What kind.
    pub(crate) kind: TroubleKind,
    /// In the cluster's words.
    pub(crate) text: String,
}

/// Kinds of trouble, in the order in which they are told when pods differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TroubleKind {
    /// A Secret or ConfigMap, or a key in one, is not there.
    MissingReference,
    /// The image cannot be pulled.
    Image,
    /// No node takes it.
    Unschedulable,
    /// The container ended before it should.
    Crashed,
    /// The kubelet cannot make the container.
    Container,
    /// The API server does not take the pod: quota, admission.
    Refused,
    /// On its way.
    Starting,
}

impl TroubleKind {
    /// As a part of a sentence: `2 of 10 workers …`.
    fn says(self) -> &'static str {
        match self {
            Self::MissingReference => "lack a Secret or ConfigMap",
            Self::Image => "cannot pull their image",
            Self::Unschedulable => "unschedulable",
            Self::Crashed => "ended before the start",
            Self::Container => "cannot be started",
            Self::Refused => "not admitted",
            Self::Starting => "not ready",
        }
    }

    /// The event's and condition's word for it.
    #[must_use]
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::MissingReference => "MissingReference",
            Self::Image => "ImagePull",
            Self::Unschedulable => "Unschedulable",
            Self::Crashed => "WorkerCrashed",
            Self::Container => "ContainerNotStarted",
            Self::Refused => "PodsRefused",
            Self::Starting => "WaitingForWorkers",
        }
    }
}

/// What the Job says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JobView {
    /// Its UID.
    pub(crate) uid: String,
    /// When it was made.
    pub(crate) created: Option<Timestamp>,
    /// It is over: `(reason, message)` of its Failed condition.
    pub(crate) failed: Option<(String, String)>,
    /// It is over and every index succeeded.
    pub(crate) complete: bool,
    /// Indexes that will not be tried again.
    pub(crate) failed_indexes: Vec<u32>,
    /// A word about its retirement was written already.
    pub(crate) retired: bool,
}

/// A pod of a run; nothing if it is not one of an Indexed Job.
#[must_use]
pub(crate) fn pod_view(pod: &WorkerPod) -> Option<PodView> {
    let phase = pod.status.phase.as_deref().unwrap_or("Pending");
    Some(PodView {
        index: index_of(pod.metadata.annotations.as_ref())?,
        name: pod.metadata.name.clone()?,
        uid: pod.metadata.uid.clone()?,
        created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
        ended: matches!(phase, "Succeeded" | "Failed"),
        deleting: pod.metadata.deletion_timestamp.is_some(),
        trouble: trouble(pod, phase),
    })
}

fn trouble(pod: &WorkerPod, phase: &str) -> Option<Trouble> {
    let status = &pod.status;
    let made = |kind, text: &str| Some(Trouble { kind, text: text.trim().to_owned() });
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses);
    for container in containers {
        if let Some((kind, text)) = container_trouble(container) {
            return made(kind, &text);
        }
    }
    if phase == "Failed" {
        let text = status.message.as_deref().or(status.reason.as_deref()).unwrap_or("the pod failed");
        return made(TroubleKind::Crashed, text);
    }
    let scheduled = status.conditions.iter().find(|condition| condition.type_ == "PodScheduled");
    match scheduled {
        Some(condition) if condition.status == "False" => {
            made(TroubleKind::Unschedulable, condition.message.as_deref().unwrap_or("no node takes it"))
        }
        _ => None,
    }
}

fn container_trouble(container: &ContainerStatus) -> Option<(TroubleKind, String)> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or(reason);
        let kind = match reason {
            "ImagePullBackOff"
            | "ErrImagePull"
            | "InvalidImageName"
            | "ErrImageNeverPull"
            | "RegistryUnavailable" => TroubleKind::Image,
            "CreateContainerConfigError" if names_a_reference(message) => TroubleKind::MissingReference,
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                TroubleKind::Container
            }
            "CrashLoopBackOff" => TroubleKind::Crashed,
            _ => return None,
        };
        return Some((kind, format!("{reason}: {message}")));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let message = ended.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
    let reason = ended.reason.as_deref().unwrap_or("Error");
    let text = match message {
        Some(message) => last_words(message),
        None => format!("{reason}, exit code {}", ended.exit_code),
    };
    // The kernel's word stands before the worker's.
    let text = if matches!(reason, "Error" | "Completed") || message.is_none() {
        text
    } else {
        format!("{reason}: {text}")
    };
    Some((TroubleKind::Crashed, text))
}

/// What a worker left in its termination message: why it could not start, or what it had counted; or else the end of its log.
fn last_words(message: &str) -> String {
    let Some(words) = LastWords::parse(message) else { return last_line(message).to_owned() };
    match (words.cause, words.total) {
        (Some(cause), _) => cause,
        (None, Some(total)) => {
            format!("it had sent {} requests, of which {} failed, by its own count", total.sent, total.failed)
        }
        (None, None) => "it left no word".to_owned(),
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(text)
}

/// Whether a message of the kubelet is about a Secret or ConfigMap that is not there.
fn names_a_reference(message: &str) -> bool {
    let about = |word| message.contains(word);
    (about("secret") || about("configmap") || about("Secret") || about("ConfigMap"))
        && (about("not found") || about("non-existent") || about("couldn't find key"))
}

/// A Job of a run.
#[must_use]
pub(crate) fn job_view(job: &WorkerJob) -> JobView {
    let condition = |kind: &str| {
        job.status.conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
    };
    let failed = condition("Failed").map(|condition| {
        (condition.reason.clone().unwrap_or_default(), condition.message.clone().unwrap_or_default())
    });
    JobView {
        uid: job.metadata.uid.clone().unwrap_or_default(),
        created: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
        failed,
        complete: condition("Complete").is_some(),
        failed_indexes: indexes(job.status.failed_indexes.as_deref().unwrap_or_default()),
        retired: job.spec.ttl_seconds_after_finished.is_some(),
    }
}

/// Reads `1,3-5,7`.
fn indexes(text: &str) -> Vec<u32> {
    let part = |part: &str| -> Option<std::ops::RangeInclusive<u32>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    };
    text.split(',').filter_map(part).flatten().collect()
}

/// What an event says of a pod that is on its way, or of a Job that gets no pods. `mounted` tells what a volume is made of.
#[must_use]
pub(crate) fn event_trouble(
    reason: &str,
    note: &str,
    mounted: impl Fn(&str) -> Option<String>,
) -> Option<Trouble> {
    let kind = match reason {
        "FailedMount" if names_a_reference(note) => TroubleKind::MissingReference,
        "FailedMount" | "FailedAttachVolume" | "FailedCreatePodSandBox" => TroubleKind::Container,
        "FailedCreate" => TroubleKind::Refused,
        "FailedScheduling" => TroubleKind::Unschedulable,
        _ => return None,
    };
    // `MountVolume.SetUp failed for volume "plimsoll-secret-0" : secret "load-user" not found`: the volume is ours.
    let text = note.rsplit_once(" : ").map_or(note, |(_, cause)| cause);
    // Of a key that is missing the kubelet does not say where.
    let volume = note.split_once("for volume \"").and_then(|(_, rest)| rest.split('"').next());
    let source = volume.filter(|_| text.contains("non-existent")).and_then(mounted);
    let text = source.map_or_else(|| text.to_owned(), |source| format!("{source}: {text}"));
    Some(Trouble { kind, text })
}

/// One sentence about the workers that are not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The kind that is told.
    pub(crate) kind: TroubleKind,
    /// `2 of 10 workers unschedulable: 0/3 nodes match pool=loadgen (4m12s left)`.
    pub(crate) message: String,
}

/// Tells the first kind of trouble, with its count and its first text.
#[must_use]
pub(crate) fn waiting(troubles: &[Trouble], workers: u32, ready: u32, left: Duration) -> Waiting {
    let kind = troubles.iter().map(|trouble| trouble.kind).min().unwrap_or(TroubleKind::Starting);
    let of_kind = || troubles.iter().filter(|trouble| trouble.kind == kind);
    let left = span(left);
    let message = match of_kind().next() {
        Some(first) => {
            let count = of_kind().count();
            format!("{count} of {workers} workers {}: {} ({left} left)", kind.says(), first.text)
        }
        None => format!("{ready} of {workers} workers ready ({left} left)"),
    };
    Waiting { kind, message }
}

/// A time for people: `4m12s`.
#[must_use]
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
    fn view(status: serde_json::Value) -> PodView {
        let pod = json!({
            "metadata": {"name": "r-0-x", "uid": "u", "annotations": {"batch.kubernetes.io/job-completion-index": "0"}},
            "status": status,
        });
        pod_view(&serde_json::from_value(pod).unwrap()).unwrap()
    }

    fn kind_and_text(status: serde_json::Value) -> (TroubleKind, String) {
        let trouble = view(status).trouble.unwrap();
        (trouble.kind, trouble.text)
    }

    #[test]
    fn a_pods_trouble_is_told_in_the_clusters_words() {
        let waiting = |reason: &str, message: &str| {
            json!({"phase": "Pending", "containerStatuses": [{"name": "worker", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": {"waiting": {"reason": reason, "message": message}}}]})
        };
        assert_eq!(
            kind_and_text(waiting("ImagePullBackOff", "Back-off pulling image \"x\"")).0,
            TroubleKind::Image
        );
        assert_eq!(
            kind_and_text(waiting("CreateContainerConfigError", "secret \"load-user\" not found")),
            (
                TroubleKind::MissingReference,
                "CreateContainerConfigError: secret \"load-user\" not found".into()
            )
        );
        assert_eq!(view(waiting("ContainerCreating", "")).trouble, None);
        let unschedulable = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}]});
        assert_eq!(
            kind_and_text(unschedulable),
            (TroubleKind::Unschedulable, "0/3 nodes are available".into())
        );
        let crashed = json!({"phase": "Failed", "containerStatuses": [{"name": "worker", "image": "", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"terminated": {"exitCode": 1, "message": "starting\nno answer from the operator at x:1\n"}}}]});
        assert_eq!(
            kind_and_text(crashed.clone()),
            (TroubleKind::Crashed, "no answer from the operator at x:1".into())
        );
        let mut told = crashed;
        let words = LastWords::cause("shop/r", 0, "no answer within 15s").render();
        told["containerStatuses"][0]["state"]["terminated"] =
            json!({"exitCode": 137, "reason": "OOMKilled", "message": words});
        assert_eq!(kind_and_text(told).1, "OOMKilled: no answer within 15s");
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
        assert_eq!(kind_and_text(evicted).1, "The node was low on resource: memory.");
    }

    #[test]
    fn events_tell_of_mounts_and_of_quota() {
        let mounted = |volume: &str| (volume == "plimsoll-config-1").then(|| "ConfigMap rows".to_owned());
        let told = |reason: &str, note: &str| {
            event_trouble(reason, note, mounted).map(|trouble| (trouble.kind, trouble.text))
        };
        let mount =
            "MountVolume.SetUp failed for volume \"plimsoll-secret-0\" : secret \"load-user\" not found";
        let missing = TroubleKind::MissingReference;
        assert_eq!(told("FailedMount", mount), Some((missing, "secret \"load-user\" not found".into())));
        let key = "MountVolume.SetUp failed for volume \"plimsoll-config-1\" : configmap references non-existent config key: a.csv";
        let text = "ConfigMap rows: configmap references non-existent config key: a.csv";
        assert_eq!(told("FailedMount", key), Some((missing, text.into())));
        let quota = "Error creating: pods \"a-0-x\" is forbidden: exceeded quota: small";
        assert_eq!(told("FailedCreate", quota).unwrap().0, TroubleKind::Refused);
        assert_eq!(told("Pulled", "x"), None);
    }

    #[test]
    fn one_sentence_with_count_cause_and_time() {
        let unschedulable =
            Trouble { kind: TroubleKind::Unschedulable, text: "0/3 nodes match pool=loadgen".into() };
        let crashed = Trouble { kind: TroubleKind::Crashed, text: "exit code 1".into() };
        let told = waiting(&[crashed, unschedulable.clone(), unschedulable], 10, 3, Duration::from_secs(252));
        assert_eq!(told.message, "2 of 10 workers unschedulable: 0/3 nodes match pool=loadgen (4m12s left)");
        assert_eq!(waiting(&[], 2, 1, Duration::from_secs(9)).message, "1 of 2 workers ready (9s left)");
    }

    #[test]
    fn failed_indexes_are_ranges() {
        assert_eq!(indexes("1,3-5,7"), [1, 3, 4, 5, 7]);
        assert!(indexes("").is_empty());
    }
}
