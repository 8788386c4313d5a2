//! Leader election over one Lease: acquire, renew, take over, release. The leader reconciles (`lib.rs`); what everybody else
//! needs to know of it is a [`Standing`].
//!
//! Every write carries the resourceVersion that was read, so two processes never both think that they wrote last. A lease that
//! another process holds is taken once it has not changed for its duration on *our* monotonic clock: clocks need not agree.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::watch;

/// Annotation of the Lease: where the leader's worker sessions are, `host:port`.
const ADDRESS: &str = "plimsoll.dev/address";

/// How often and for how long. A leader that dies is followed after at most `duration + retry`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// How long a lease holds without renewal.
    pub(crate) duration: Duration,
    /// Between two attempts, and between two renewals.
    pub(crate) retry: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self { duration: Duration::from_secs(8), retry: Duration::from_secs(2) }
    }
}

/// A candidate.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// Name of the Lease.
    pub(crate) lease: String,
    /// Who we are: the same after a restart of the same pod, different from every other live process.
    pub(crate) identity: String,
    /// Where our worker sessions are, `host:port`.
    pub(crate) address: String,
    /// How often and for how long.
    pub(crate) timing: Timing,
}

/// What this process is at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The Lease is ours. Writes are safe until `until`; after it another process may have taken over.
    Leader {
        /// The end of the lease, less a margin for a write under way.
        until: Instant,
    },
    /// The Lease is somebody else's, or not yet ours.
    Follower {
        /// Where the leader's worker sessions are.
        leader: Option<String>,
    },
}

impl Standing {
    /// Whether this process may write now.
    #[must_use]
    pub(crate) fn may_write(&self, now: Instant) -> bool {
        matches!(self, Self::Leader { until } if now < *until)
    }

    /// Whether the Lease was ours when we last saw it.
    #[must_use]
    pub(crate) fn leads(&self) -> bool {
        matches!(self, Self::Leader { .. })
    }
}

/// What was last seen of the Lease, and since when on our clock.
#[derive(Clone, Debug)]
struct Seen {
    version: Option<String>,
    since: Instant,
}

/// Takes part in the election until `stop` is set, then gives the Lease back.
pub(crate) async fn elect(
    leases: Api<Lease>,
    me: Candidate,
    standing: watch::Sender<Standing>,
    mut stop: watch::Receiver<bool>,
) {
    let mut seen = None;
    loop {
        let begun = Instant::now();
        match in_time(me.timing.duration / 2, attempt(&leases, &me, &mut seen, begun)).await {
            Ok(now) => {
                let changed = standing.borrow().leads() != now.leads();
                if changed {
                    tracing::info!(
                        lease = me.lease,
                        identity = me.identity,
                        leads = now.leads(),
                        "leadership changed"
                    );
                }
                standing.send_replace(now);
            }
            // Whether we lead is unknown: the old standing stays, and its `until` ends our writes by itself.
            Err(error) => tracing::warn!(lease = me.lease, %error, "lease not reachable"),
        }
        tokio::select! {
            () = tokio::time::sleep(me.timing.retry) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    if standing.borrow().leads() {
        standing.send_replace(Standing::Follower { leader: None });
        if let Err(error) = in_time(me.timing.retry, release(&leases, &me)).await {
            tracing::warn!(lease = me.lease, %error, "lease not given back; it runs out by itself");
        }
    }
}

/// Why the Lease could not be had.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("no answer within {}ms", .0.as_millis())]
    Late(Duration),
}

/// A request that hangs must not take the lease with it.
async fn in_time<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, LeaseError> {
    tokio::time::timeout(limit, request).await.map_err(|_| LeaseError::Late(limit))?.map_err(LeaseError::Api)
}

/// One attempt to get or keep the Lease.
async fn attempt(
    leases: &Api<Lease>,
    me: &Candidate,
    seen: &mut Option<Seen>,
    now: Instant,
) -> kube::Result<Standing> {
    let Some(lease) = leases.get_opt(&me.lease).await? else {
        let fresh = claim(None, me, Timestamp::now());
        return settle(leases.create(&PostParams::default(), &fresh).await.map(drop), me, now);
    };
    let version = lease.metadata.resource_version.clone();
    if seen.as_ref().is_none_or(|seen| seen.version != version) {
        *seen = Some(Seen { version, since: now });
    }
    let idle = seen.as_ref().map_or(Duration::ZERO, |seen| now.duration_since(seen.since));
    if !may_claim(&lease, &me.identity, idle) {
        let leader = lease.metadata.annotations.as_ref().and_then(|all| all.get(ADDRESS)).cloned();
        return Ok(Standing::Follower { leader });
    }
    let ours = claim(Some(&lease), me, Timestamp::now());
    settle(leases.replace(&me.lease, &PostParams::default(), &ours).await.map(drop), me, now)
}

fn settle(written: kube::Result<()>, me: &Candidate, begun: Instant) -> kube::Result<Standing> {
    match written {
        // Counted from before the write, and short of the end by one retry for writes under way.
        Ok(()) => Ok(Standing::Leader { until: begun + me.timing.duration.saturating_sub(me.timing.retry) }),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Standing::Follower { leader: None }),
        Err(error) => Err(error),
    }
}

/// Whether the Lease is ours, free, or has not been renewed for its duration.
fn may_claim(lease: &Lease, identity: &str, idle: Duration) -> bool {
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    holder.is_empty()
        || holder == identity
        || idle >= Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// The Lease as ours, on top of what is there.
fn claim(old: Option<&Lease>, me: &Candidate, now: Timestamp) -> Lease {
    let mut lease = old.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(me.lease.clone()), ..ObjectMeta::default() },
        spec: None,
    });
    lease.metadata.managed_fields = None;
    lease.metadata.annotations.get_or_insert_default().insert(ADDRESS.to_owned(), me.address.clone());
    let spec = lease.spec.get_or_insert_default();
    let kept = spec.holder_identity.as_deref() == Some(me.identity.as_str());
    let transitions = spec.lease_transitions.unwrap_or(0);
    *spec = LeaseSpec {
        holder_identity: Some(me.identity.clone()),
        lease_duration_seconds: Some(i32::try_from(me.timing.duration.as_secs().max(1)).unwrap_or(i32::MAX)),
        acquire_time: if kept { spec.acquire_time.clone() } else { Some(MicroTime(now)) },
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if kept || old.is_none() {
            transitions
        } else {
            transitions.saturating_add(1)
        }),
        ..LeaseSpec::default()
    };
    lease
}

/// Gives the Lease back, so that the next process need not wait.
async fn release(leases: &Api<Lease>, me: &Candidate) -> kube::Result<()> {
    let Some(mut lease) = leases.get_opt(&me.lease).await? else { return Ok(()) };
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(me.identity.as_str()) {
        return Ok(());
    }
    spec.holder_identity = None;
    lease.metadata.managed_fields = None;
    if let Some(annotations) = lease.metadata.annotations.as_mut() {
        annotations.remove(ADDRESS);
    }
    leases.replace(&me.lease, &PostParams::default(), &lease).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me(identity: &str) -> Candidate {
        Candidate {
            lease: "plimsoll".into(),
            identity: identity.into(),
            address: format!("{identity}:7446"),
            timing: Timing::default(),
        }
    }

    #[test]
    fn a_lease_is_claimed_when_it_is_ours_free_or_stale() {
        let now = Timestamp::UNIX_EPOCH;
        let held = claim(None, &me("a"), now);
        assert!(may_claim(&held, "a", Duration::ZERO), "ours");
        assert!(!may_claim(&held, "b", Duration::from_secs(7)), "theirs and fresh");
        assert!(may_claim(&held, "b", Duration::from_secs(8)), "theirs and stale");
        let mut free = held.clone();
        free.spec.as_mut().unwrap().holder_identity = None;
        assert!(may_claim(&free, "b", Duration::ZERO), "given back");
        assert!(may_claim(&Lease::default(), "b", Duration::ZERO), "empty");
    }

    #[test]
    fn a_take_over_counts_a_transition_and_a_renewal_does_not() {
        let now = Timestamp::UNIX_EPOCH;
        let first = claim(None, &me("a"), now);
        let renewed = claim(Some(&first), &me("a"), now);
        let taken = claim(Some(&renewed), &me("b"), now);
        let transitions = |lease: &Lease| lease.spec.as_ref().unwrap().lease_transitions;
        assert_eq!(
            (transitions(&first), transitions(&renewed), transitions(&taken)),
            (Some(0), Some(0), Some(1))
        );
        assert_eq!(taken.metadata.annotations.unwrap()[ADDRESS], "b:7446");
    }

    #[test]
    fn a_leader_stops_writing_before_its_lease_ends() {
        let now = Instant::now();
        let standing = settle(Ok(()), &me("a"), now).unwrap();
        assert!(standing.may_write(now + Duration::from_millis(5_999)));
        assert!(!standing.may_write(now + Duration::from_secs(6)));
        assert!(standing.leads());
    }
}
