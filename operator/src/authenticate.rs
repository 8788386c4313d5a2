//! Whether a worker is who it says: a TokenReview for our audience, and the pod that the token is bound to must be alive.
//! Asked by `plimsoll_session::serve` at every hello.
//!
//! A token that was reviewed is believed for a while without asking again, so that workers find back while the API server is
//! away; whether the pod is alive is asked every time, of the API server, and where that does not answer, of the watch.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use plimsoll_manifests::{RUN_LABEL, index_of};
use plimsoll_session::{AuthError, Authenticator, PodIdentity, RunKey};
use sha2::{Digest, Sha256};

use crate::objects::WorkerPod;
use crate::watch::{Stores, is_pod_of};

/// Audience of the workers' tokens (`crates/manifests/src/pod.rs`).
const AUDIENCE: &str = "plimsoll";
/// How long a reviewed token is believed.
const BELIEF: Duration = Duration::from_secs(600);
/// Most tokens that are remembered.
const REMEMBERED: usize = 4096;
/// How long one answer is waited for; a worker waits 15 s for its own.
const ANSWER: Duration = Duration::from_secs(4);

/// The pod that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    namespace: String,
    pod: String,
    uid: String,
}

type Remembered = HashMap<[u8; 32], (Bound, Instant)>;

/// Asks the API server.
pub(crate) struct Reviewer {
    client: Client,
    stores: Stores,
    reviewed: Mutex<Remembered>,
}

impl Authenticator for Reviewer {
    async fn authenticate(&self, token: &str) -> Result<PodIdentity, AuthError> {
        let bound = self.review(token).await?;
        self.live(bound).await
    }
}

impl Reviewer {
    /// A reviewer that remembers nothing yet.
    #[must_use]
    pub(crate) fn new(client: Client, stores: Stores) -> Self {
        Self { client, stores, reviewed: Mutex::default() }
    }

    async fn review(&self, token: &str) -> Result<Bound, AuthError> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = self
            .remembered()
            .get(&hash)
            .filter(|(_, at)| at.elapsed() < BELIEF)
            .map(|(bound, _)| bound.clone());
        if let Some(bound) = known {
            return Ok(bound);
        }
        let review = TokenReview {
            metadata: ObjectMeta::default(),
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: Some(vec![AUDIENCE.to_owned()]),
            },
            status: None,
        };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = answered(reviews.create(&PostParams::default(), &review)).await;
        let bound =
            bound_to(&answer.map_err(|error| AuthError::Unavailable(format!("token review: {error}")))?)?;
        let mut reviewed = self.remembered();
        if reviewed.len() >= REMEMBERED {
            reviewed.retain(|_, (_, at)| at.elapsed() < BELIEF);
        }
        if reviewed.len() < REMEMBERED {
            reviewed.insert(hash, (bound.clone(), Instant::now()));
        }
        Ok(bound)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.reviewed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn live(&self, bound: Bound) -> Result<PodIdentity, AuthError> {
        let pods: Api<WorkerPod> = Api::namespaced(self.client.clone(), &bound.namespace);
        let run_uid = |run: &RunKey| self.stores.run(run).and_then(|run| run.metadata.uid.clone());
        match answered(pods.get_opt(&bound.pod)).await {
            Ok(pod) => worker_of(pod.as_ref(), bound, run_uid),
            Err(error) => match self.stores.pod(&bound.namespace, &bound.pod) {
                Some(pod) => worker_of(Some(&pod), bound, run_uid),
                None => Err(AuthError::Unavailable(format!(
                    "read pod {}/{}: {error}",
                    bound.namespace, bound.pod
                ))),
            },
        }
    }
}

/// The answer of the API server, or in a sentence why there is none.
async fn answered<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer from the API server within {}s", ANSWER.as_secs())),
    }
}

/// The pod that a reviewed token is bound to.
fn bound_to(review: &TokenReview) -> Result<Bound, AuthError> {
    let refused = |why: &str| AuthError::Refused(why.to_owned());
    let status = review
        .status
        .as_ref()
        .ok_or_else(|| AuthError::Unavailable("token review without an answer".into()))?;
    if status.authenticated != Some(true) {
        return Err(refused(status.error.as_deref().unwrap_or("the API server does not know this token")));
    }
    if !status.audiences.iter().flatten().any(|audience| audience == AUDIENCE) {
        return Err(refused("its audience is not plimsoll"));
    }
    let user = status.user.clone().unwrap_or_default();
    let namespace = user.username.as_deref().and_then(|name| name.strip_prefix("system:serviceaccount:"));
    let namespace = namespace
        .and_then(|name| name.split(':').next())
        .ok_or_else(|| refused("it is not a ServiceAccount's"))?;
    let unbound = || refused("it is not bound to a pod");
    Ok(Bound {
        namespace: namespace.to_owned(),
        pod: extra(&user, "authentication.kubernetes.io/pod-name").ok_or_else(unbound)?,
        uid: extra(&user, "authentication.kubernetes.io/pod-uid").ok_or_else(unbound)?,
    })
}

fn extra(user: &UserInfo, key: &str) -> Option<String> {
    user.extra.as_ref().unwrap_or(&BTreeMap::new()).get(key)?.first().cloned()
}

/// The worker that a live pod is. A pod whose end is asked for still is one: it hands in what it measured. `run_uid` answers with the
/// UID of the run that has the name now.
fn worker_of(
    pod: Option<&WorkerPod>,
    bound: Bound,
    run_uid: impl Fn(&RunKey) -> Option<String>,
) -> Result<PodIdentity, AuthError> {
    let Bound { namespace, pod: name, uid } = bound;
    let phase = |pod: &WorkerPod| pod.status.phase.clone().unwrap_or_default();
    let live = |pod: &&WorkerPod| {
        pod.metadata.uid.as_ref() == Some(&uid) && !matches!(phase(pod).as_str(), "Succeeded" | "Failed")
    };
    let Some(pod) = pod.filter(live) else {
        return Err(AuthError::Refused(format!("pod {namespace}/{name} is gone")));
    };
    let run = pod.metadata.labels.as_ref().and_then(|labels| labels.get(RUN_LABEL));
    let index = index_of(pod.metadata.annotations.as_ref());
    match (run, index) {
        (Some(run), Some(index)) => {
            let key = RunKey { namespace: namespace.clone(), name: run.clone() };
            if run_uid(&key).is_some_and(|now| !is_pod_of(&pod.metadata, &now)) {
                return Err(AuthError::Refused(format!(
                    "pod {namespace}/{name} is of a former run of the name {run}"
                )));
            }
            Ok(PodIdentity { namespace, pod: name, uid, run: run.clone(), index })
        }
        _ => Err(AuthError::Refused(format!("pod {namespace}/{name} is no worker of a run"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
    fn review(status: serde_json::Value) -> Result<Bound, AuthError> {
        bound_to(&serde_json::from_value(json!({"spec": {}, "status": status})).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_an_error() {
        let error = answered::<()>(std::future::pending()).await.unwrap_err();
        assert!(error.contains("within 4s"), "{error}");
    }

    #[test]
    fn only_a_pods_token_of_our_audience_counts() {
        let user = json!({"username": "system:serviceaccount:shop:default", "extra": {
            "authentication.kubernetes.io/pod-name": ["r-0-x"], "authentication.kubernetes.io/pod-uid": ["u"]}});
        let good = review(json!({"authenticated": true, "audiences": ["plimsoll"], "user": user})).unwrap();
        assert_eq!(good, Bound { namespace: "shop".into(), pod: "r-0-x".into(), uid: "u".into() });
        for (status, why) in [
            (json!({"authenticated": false, "error": "expired"}), "expired"),
            (json!({"authenticated": true, "audiences": ["api"], "user": user}), "audience"),
            (
                json!({"authenticated": true, "audiences": ["plimsoll"], "user": {"username": "jane"}}),
                "ServiceAccount",
            ),
            (
                json!({"authenticated": true, "audiences": ["plimsoll"], "user": {"username": "system:serviceaccount:shop:default"}}),
                "not bound to a pod",
            ),
        ] {
            let error = review(status).unwrap_err();
            assert!(matches!(&error, AuthError::Refused(text) if text.contains(why)), "{error}");
        }
    }

    #[test]
    fn the_pod_must_be_the_very_one_and_alive() {
        let bound = || Bound { namespace: "shop".into(), pod: "r-0-x".into(), uid: "u".into() };
        let pod = |uid: &str, phase: &str| -> WorkerPod {
            serde_json::from_value(json!({
                "metadata": {"name": "r-0-x", "uid": uid,
                    "labels": {"plimsoll.dev/run": "r", "plimsoll.dev/run-uid": "run-uid"},
                    "annotations": {"batch.kubernetes.io/job-completion-index": "0"}},
                "status": {"phase": phase},
            }))
            .unwrap()
        };
        let now = |uid: &'static str| move |_: &RunKey| Some(uid.to_owned());
        let worker_of = |pod: Option<&WorkerPod>, bound| worker_of(pod, bound, now("run-uid"));
        let worker = worker_of(Some(&pod("u", "Running")), bound()).unwrap();
        assert_eq!((worker.run.as_str(), worker.index), ("r", 0));
        assert!(worker_of(Some(&pod("other", "Running")), bound()).is_err());
        assert!(worker_of(Some(&pod("u", "Failed")), bound()).is_err());
        assert!(worker_of(None, bound()).is_err());
        let error = super::worker_of(Some(&pod("u", "Running")), bound(), now("another")).unwrap_err();
        assert!(error.to_string().contains("a former run of the name r"), "{error}");
    }
}
