//! What runs ask Prometheus: which server, and one follower for each run that asks anything. Followers are tasks of their own; a reconcile
//! reads their last answers (`reconcile/observe.rs`) and waits for none.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use plimsoll_api::questions;
use plimsoll_api::v1alpha1::LoadTestSpec;
use plimsoll_manifests::Frozen;
use plimsoll_slo::Reason;
use plimsoll_telemetry::Identity;
use plimsoll_telemetry::query::{Answers, Client, Follower, Job, Reach, Server, Servers};

/// Followers by the UID of their run.
#[derive(Debug)]
pub(crate) struct Queries {
    servers: Servers,
    followers: Mutex<HashMap<String, Follower>>,
}

impl Queries {
    pub(crate) fn new(servers: Servers) -> Self {
        Self { servers, followers: Mutex::default() }
    }

    /// The servers that tests may name.
    pub(crate) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// What is known by now of a run that began at `started`; nothing if it asks nothing. `measured` is how many nanoseconds of it were
    /// measured, once all of it is: then the last questions are asked.
    pub(crate) fn look(
        &self,
        uid: &str,
        frozen: &Frozen,
        started: SystemTime,
        measured: Option<u64>,
    ) -> Option<Answers> {
        let mut followers = self.lock();
        if !followers.contains_key(uid) {
            let questions = questions(&frozen.spec);
            if questions.is_empty() {
                return None;
            }
            let run = &frozen.plan.run;
            let identity = Identity {
                namespace: run.namespace.clone(),
                test: run.test.clone(),
                run: run.name.clone(),
                worker: None,
            };
            let job = Job::new(identity, started, questions, &frozen.slos, &frozen.plan.layout);
            let whom = server(&frozen.spec, &self.servers).map(Client::new).map_err(|(_, why)| why);
            followers.insert(uid.to_owned(), Follower::start(whom, job));
        }
        let follower = followers.get(uid)?;
        measured.into_iter().for_each(|measured| follower.end(measured));
        Some(follower.answers())
    }

    /// The run is over; its answers are in its result.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Forgets whatever is not among the given UIDs.
    pub(crate) fn forget_all_but(&self, live: &BTreeSet<String>) {
        self.lock().retain(|uid, _| live.contains(uid));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Follower>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses a run that asks Prometheus, where this operator cannot or must not.
///
/// # Errors
/// The reason and a sentence with the remedy.
pub(crate) fn check(spec: &LoadTestSpec, servers: &Servers, urls: bool) -> Result<(), (Reason, String)> {
    if questions(spec).is_empty() {
        return Ok(());
    }
    let url = spec.prometheus.as_ref().and_then(|prometheus| prometheus.url.as_ref());
    if url.is_some() && !urls {
        let message = "spec.prometheus.url: this operator asks only servers that are named in its configuration: use \
                       spec.prometheus.server, or have prometheus.allowUrls set in the operator's chart";
        return Err((Reason::PolicyDenied, message.to_owned()));
    }
    server(spec, servers).map(|_| ())
}

/// The server that a test reads from.
fn server(spec: &LoadTestSpec, servers: &Servers) -> Result<Server, (Reason, String)> {
    let wanted = spec.prometheus.clone().unwrap_or_default();
    let invalid = |message: String| (Reason::InvalidReference, message);
    if let Some(url) = &wanted.url {
        return Server::at(url, Reach::NoMetadataNorHost)
            .map_err(|error| invalid(format!("spec.prometheus.url: {error}")));
    }
    servers.get(wanted.server.as_deref()).cloned().ok_or_else(|| {
        let known = servers.names().collect::<Vec<_>>().join(", ");
        invalid(match (wanted.server, known.is_empty()) {
            (Some(name), false) => {
                format!("spec.prometheus.server: this operator has no server {name:?}; it has {known}")
            }
            (name, _) => {
                let named = name.map(|name| format!(" {name:?}")).unwrap_or_default();
                format!("spec.prometheus: this operator has no Prometheus server{named}: have it named in prometheus.servers of the operator's chart")
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[allow(clippy::needless_pass_by_value, reason = "json! makes values")]
    fn spec(prometheus: serde_json::Value) -> LoadTestSpec {
        serde_json::from_value(json!({
            "target": {"url": "http://web"},
            "prometheus": prometheus,
            "slos": [{"name": "cpu", "prometheus": {"query": "up", "atMost": 1}}],
        }))
        .unwrap()
    }

    fn refused(prometheus: serde_json::Value, servers: &[&str], urls: bool) -> Option<(Reason, String)> {
        let servers = Servers::read(servers.iter().copied(), None, None).unwrap();
        check(&spec(prometheus), &servers, urls).err()
    }

    #[test]
    fn a_test_names_one_of_our_servers_or_takes_the_default() {
        let servers = ["platform=http://a:9090", "eu=http://b:9090"];
        assert_eq!(refused(json!({"server": "eu"}), &servers, false), None);
        assert_eq!(refused(json!(null), &servers, false), None);
        let (reason, message) = refused(json!({"server": "us"}), &servers, false).unwrap();
        assert_eq!(reason, Reason::InvalidReference);
        assert!(message.contains("\"us\"") && message.contains("platform, eu"), "{message}");
        let (reason, message) = refused(json!(null), &[], false).unwrap();
        assert_eq!(reason, Reason::InvalidReference);
        assert!(message.contains("prometheus.servers"), "{message}");
        let mut asks_nothing = spec(json!({"server": "us"}));
        asks_nothing.slos.clear();
        assert_eq!(check(&asks_nothing, &Servers::default(), false), Ok(()));
    }

    #[test]
    fn a_url_of_a_test_is_asked_only_where_it_may_be() {
        let url = json!({"url": "http://prometheus.monitoring:9090"});
        let (reason, message) = refused(url.clone(), &["platform=http://a:9090"], false).unwrap();
        assert_eq!(reason, Reason::PolicyDenied);
        assert!(message.contains("prometheus.allowUrls"), "{message}");
        assert_eq!(refused(url.clone(), &[], true), None);
        let server = server(&spec(url), &Servers::default()).unwrap();
        assert_eq!((server.reach, server.credentials), (Reach::NoMetadataNorHost, Default::default()));
    }
}
