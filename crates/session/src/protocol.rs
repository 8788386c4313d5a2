//! Versions, figures and small messages that `client.rs` and `server.rs` share; `proto/plimsoll.v1.proto` documents them.

use std::time::Duration;

use plimsoll_measure::Gauges;
use sha2::{Digest, Sha256};

use crate::{FailureKind, Final, Readiness, RunKey, StartFailure, Stop, proto};

/// Version of the protocol that this code speaks; as an operator, also the one before.
pub const PROTOCOL: u32 = 1;

/// Round trips before a worker is ready.
pub(crate) const PROBES: u32 = 8;

/// Pings keep a dead peer from going unnoticed for more than the sum of both.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(2);
pub(crate) const PING_PATIENCE: Duration = Duration::from_secs(3);

/// Who a worker says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HelloInfo {
    /// The LoadTestRun.
    pub run: RunKey,
    /// Which share: the Job's completion index.
    pub index: u32,
    /// UID of the pod.
    pub pod_uid: String,
    /// [`plan_hash`] of the plan's text.
    pub plan_hash: String,
}

/// SHA-256 of a plan's text, lower-case hex: what workers compare.
#[must_use]
pub fn plan_hash(json: &[u8]) -> String {
    hex(&Sha256::digest(json))
}

/// SHA-256 over data tables, by name and bytes in the order of names, lower-case hex: what workers compare. Nothing without tables.
#[must_use]
pub fn data_hash<'a>(tables: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> Option<String> {
    let mut hash = Sha256::new();
    let mut any = false;
    for (name, bytes) in tables {
        any = true;
        // Lengths keep what ends here apart from what begins there.
        for part in [name.as_bytes(), bytes.as_slice()] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
    }
    any.then(|| hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The version that an operator of version `newest` speaks with a worker of version `theirs`.
pub(crate) fn agree(theirs: u32, newest: u32) -> Result<u32, String> {
    let oldest = newest.saturating_sub(1).max(1);
    if (oldest..=newest).contains(&theirs) {
        return Ok(theirs);
    }
    Err(format!(
        "the worker speaks protocol {theirs}, this operator {oldest} to {newest}; use the worker image of this operator's release"
    ))
}

pub(crate) fn write_failed(cause: &StartFailure) -> proto::Failed {
    let kind = match cause.kind {
        FailureKind::TargetUnreachable => proto::failed::Kind::TargetUnreachable,
        FailureKind::DataDiffers => proto::failed::Kind::DataDiffers,
        FailureKind::InvalidPlan => proto::failed::Kind::InvalidPlan,
        FailureKind::SetupFailed => proto::failed::Kind::SetupFailed,
    };
    proto::Failed { kind: kind.into(), message: cause.message.clone() }
}

pub(crate) fn read_failed(message: proto::Failed) -> StartFailure {
    let kind = match message.kind() {
        proto::failed::Kind::TargetUnreachable => FailureKind::TargetUnreachable,
        proto::failed::Kind::DataDiffers => FailureKind::DataDiffers,
        proto::failed::Kind::InvalidPlan => FailureKind::InvalidPlan,
        proto::failed::Kind::SetupFailed => FailureKind::SetupFailed,
    };
    StartFailure { kind, message: message.message }
}

/// `started`: the worker was given its start on an earlier connection.
pub(crate) fn write_ready(readiness: &Readiness, started: bool) -> proto::Ready {
    proto::Ready { setup: readiness.setup.clone(), data: readiness.data_hash.clone(), started }
}

pub(crate) fn read_ready(message: proto::Ready) -> Readiness {
    Readiness { setup: message.setup, data_hash: message.data }
}

/// What a worker is doing.
pub(crate) fn write_gauges(gauges: Gauges) -> proto::Gauges {
    let Gauges { users, requests, connections, cpu } = gauges;
    proto::Gauges { users, requests, connections, cpu }
}

/// What a worker is doing.
pub(crate) fn read_gauges(gauges: &proto::Gauges) -> Gauges {
    let proto::Gauges { users, requests, connections, cpu } = *gauges;
    Gauges { users, requests, connections, cpu }
}

pub(crate) fn write_final(last: &Final, last_seq: u64) -> proto::Final {
    let stopped = last.stopped.as_ref();
    proto::Final {
        last_seq,
        skew: last.skew,
        threads: last.threads,
        stopped: stopped.map(|stop| proto::Stop { reason: stop.reason.clone(), at_once: stop.at_once }),
        fault: last.fault.clone(),
        load: last.load,
    }
}

pub(crate) fn read_final(message: proto::Final) -> Final {
    Final {
        skew: message.skew,
        threads: message.threads,
        stopped: message.stopped.map(read_stop),
        fault: message.fault,
        load: message.load,
    }
}

pub(crate) fn read_stop(message: proto::Stop) -> Stop {
    Stop { reason: message.reason, at_once: message.at_once }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_version_and_the_one_before_are_spoken() {
        for (theirs, newest, spoken) in
            [(1, 1, true), (2, 2, true), (1, 2, true), (1, 3, false), (0, 1, false), (3, 2, false)]
        {
            assert_eq!(agree(theirs, newest).is_ok(), spoken, "{theirs} with {newest}");
        }
        assert!(agree(9, 1).unwrap_err().contains("speaks protocol 9, this operator 1 to 1"));
    }

    #[test]
    fn data_are_told_apart_by_name_bytes_and_where_they_end() {
        let hash = |tables: &[(&str, &str)]| {
            let owned: Vec<(String, Vec<u8>)> =
                tables.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
            data_hash(owned.iter().map(|(name, bytes)| (name, bytes)))
        };
        assert_eq!(hash(&[]), None);
        let all = [
            hash(&[("users", "a\n")]),
            hash(&[("users", "b\n")]),
            hash(&[("user", "sa\n")]),
            hash(&[("users", "a\n"), ("x", "")]),
            hash(&[("users", "a\nx")]),
        ];
        assert!(all.iter().all(|hash| hash.as_ref().is_some_and(|hash| hash.len() == 64)));
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len(), "{all:?}");
        assert_eq!(hash(&[("users", "a\n")]), all[0]);
    }

    #[test]
    fn the_hash_is_sha_256() {
        assert_eq!(plan_hash(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
