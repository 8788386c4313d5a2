//! One worker's session on the operator's side: who are you, come in, then messages and orders. Opened by `server.rs`; the
//! worker's side is `carry.rs`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};

use crate::hub::{Attached, Denied, Orders, Ticket};
use crate::proto::from_operator::Message as Say;
use crate::proto::from_worker::Message as Heard;
use crate::proto::{self, FromOperator, FromWorker};
use crate::{
    Applied, AuthError, Authenticator, HelloInfo, Hub, PodIdentity, Role, RunKey, Setup, protocol, wire,
};

/// A worker that has not said hello by then is sent away.
const HELLO_PATIENCE: Duration = Duration::from_secs(10);
/// A message that a worker does not take within this time ends its session.
const SEND_PATIENCE: Duration = Duration::from_secs(5);

/// Both directions of one worker's stream.
pub(crate) struct Line {
    pub(crate) inbound: Streaming<FromWorker>,
    pub(crate) out: mpsc::Sender<Result<FromOperator, Status>>,
}

/// How far a worker is, as it says on this connection.
#[derive(Clone, Copy, Default)]
struct Stage {
    /// It could start, or did.
    ready: bool,
    /// It was given its start before.
    started: bool,
}

impl Stage {
    fn hear(&mut self, heard: &Heard) {
        let sends = matches!(heard, Heard::Delta(_) | Heard::Final(_));
        self.ready |= sends || matches!(heard, Heard::Ready(_));
        self.started |= sends || matches!(heard, Heard::Ready(proto::Ready { started: true, .. }));
    }
}

/// How a session ends.
enum End {
    /// The worker is told why.
    Say(Say),
    /// The stream is gone, or another one took its place.
    Silent,
}

impl From<Denied> for End {
    fn from(denied: Denied) -> Self {
        Self::Say(Say::Refuse(proto::Refuse { reason: denied.reason, retry: denied.retry }))
    }
}

impl Line {
    async fn say(&self, message: Say) -> Result<(), End> {
        let message = Ok(FromOperator { message: Some(message) });
        match tokio::time::timeout(SEND_PATIENCE, self.out.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Silent),
        }
    }

    async fn hear(&mut self) -> Result<Option<Heard>, End> {
        match self.inbound.message().await {
            Ok(Some(message)) => Ok(message.message),
            Ok(None) | Err(_) => Err(End::Silent),
        }
    }
}

/// A session from hello to its end.
pub(crate) async fn attend(
    mut line: Line,
    hub: &Hub,
    auth: &impl Authenticator,
    token: &str,
    role: watch::Receiver<Role>,
) {
    let end = match admit(&mut line, hub, auth, token, &role).await {
        Ok(attached) => {
            let ticket = attached.ticket.clone();
            tracing::info!(run = %ticket.run, index = ticket.index, pod = ticket.uid, "worker connected");
            let end = talk(&mut line, hub, attached, role).await;
            hub.detach(&ticket);
            tracing::info!(run = %ticket.run, index = ticket.index, pod = ticket.uid, "worker disconnected");
            end
        }
        Err(end) => end,
    };
    if let End::Say(last) = end {
        if let Say::Refuse(refuse) = &last {
            tracing::info!(reason = refuse.reason, retry = refuse.retry, "worker refused");
        }
        // A worker that does not take it any more has gone by itself.
        let _ = line.say(last).await;
    }
}

/// Hello, who are you, come in.
async fn admit(
    line: &mut Line,
    hub: &Hub,
    auth: &impl Authenticator,
    token: &str,
    role: &watch::Receiver<Role>,
) -> Result<Attached, End> {
    let hello = match tokio::time::timeout(HELLO_PATIENCE, line.hear()).await {
        Ok(heard) => heard?,
        Err(_) => return Err(Denied::for_good("no hello within 10s").into()),
    };
    let Some(Heard::Hello(hello)) = hello else {
        return Err(Denied::for_good("the first message must be a hello").into());
    };
    if let Some(end) = elsewhere(&role.borrow()) {
        return Err(end);
    }
    let spoken = protocol::agree(hello.protocol, protocol::PROTOCOL).map_err(Denied::for_good)?;
    let hello = HelloInfo {
        run: RunKey { namespace: hello.namespace, name: hello.run },
        index: hello.index,
        pod_uid: hello.pod_uid,
        plan_hash: hello.plan_hash,
    };
    let pod = match auth.authenticate(token).await {
        Ok(pod) => pod,
        Err(error @ AuthError::Refused(_)) => return Err(Denied::for_good(error).into()),
        Err(error @ AuthError::Unavailable(_)) => return Err(Denied::for_now(error).into()),
    };
    vouch(&pod, &hello)?;
    let attached = hub.attach(&hello)?;
    let welcome = proto::Welcome { protocol: spoken, last_seq: attached.last_seq, probes: protocol::PROBES };
    if let Err(end) = line.say(Say::Welcome(welcome)).await {
        hub.detach(&attached.ticket);
        return Err(end);
    }
    Ok(attached)
}

/// The token's pod must be the one that the worker claims to be.
fn vouch(pod: &PodIdentity, hello: &HelloInfo) -> Result<(), Denied> {
    let HelloInfo { run, index, pod_uid, .. } = hello;
    let same =
        pod.uid == *pod_uid && pod.namespace == run.namespace && pod.run == run.name && pod.index == *index;
    let claim = || format!("worker {index} of run {run} (pod {pod_uid})");
    let owner = || {
        format!("worker {} of run {}/{} (pod {}, {})", pod.index, pod.namespace, pod.run, pod.uid, pod.pod)
    };
    if same {
        Ok(())
    } else {
        Err(Denied::for_good(format_args!("the token belongs to {}, not to {}", owner(), claim())))
    }
}

fn elsewhere(role: &Role) -> Option<End> {
    match role {
        Role::Leader => None,
        Role::Follower { leader: Some(leader) } => {
            Some(End::Say(Say::Redirect(proto::Redirect { leader: leader.clone() })))
        }
        Role::Follower { leader: None } => {
            Some(Denied::for_now("no replica of the operator leads (yet)").into())
        }
    }
}

/// The session of a worker that was let in, to its end.
async fn talk(line: &mut Line, hub: &Hub, attached: Attached, mut role: watch::Receiver<Role>) -> End {
    let Attached { ticket, plan, mut orders, mut evicted, .. } = attached;
    let mut told = Orders { resends: orders.borrow().resends, ..Orders::default() };
    let mut stage = Stage::default();
    loop {
        if let Err(end) = instruct(line, hub, &ticket, &mut orders, &mut told, stage).await {
            return end;
        }
        tokio::select! {
            biased;
            end = following(&mut role) => return end,
            changed = orders.changed() => if changed.is_err() {
                return Denied::for_now("the operator starts anew").into();
            },
            _ = &mut evicted => return hub.why_evicted(&ticket).into(),
            heard = line.hear() => {
                let answered = match heard {
                    Ok(Some(heard)) => {
                        stage.hear(&heard);
                        answer(line, hub, &ticket, &plan, heard).await
                    }
                    Ok(None) => Ok(()),
                    Err(end) => Err(end),
                };
                if let Err(end) = answered {
                    return end;
                }
            }
        }
    }
}

/// Resolves when another replica leads.
async fn following(role: &mut watch::Receiver<Role>) -> End {
    match role.wait_for(|role| *role != Role::Leader).await {
        Ok(role) => elsewhere(&role).unwrap_or(End::Silent),
        Err(_) => Denied::for_now("the operator ends").into(),
    }
}

/// Says what this worker has not been told yet.
async fn instruct(
    line: &Line,
    hub: &Hub,
    ticket: &Ticket,
    orders: &mut watch::Receiver<Orders>,
    told: &mut Orders,
    stage: Stage,
) -> Result<(), End> {
    let now = orders.borrow_and_update().clone();
    // First, since a run is closed soon after its workers are released.
    if now.acked && !told.acked {
        line.say(Say::Ack(proto::Ack {})).await?;
        told.acked = true;
    }
    if let Some(reason) = &now.closed {
        return Err(Denied::for_good(reason).into());
    }
    if now.resends != told.resends {
        told.resends = now.resends;
        if hub.lacks(ticket) {
            line.say(Say::Resend(proto::Resend {})).await?;
        }
    }
    if let Some(stop) = now.stop.as_ref().filter(|stop| told.stop.as_ref() != Some(stop)) {
        line.say(Say::Stop(proto::Stop { reason: stop.reason.clone(), at_once: stop.at_once })).await?;
        told.stop = Some(stop.clone());
    }
    if let Some(at) = now.start.filter(|_| stage.ready && told.start.is_none()) {
        let told_now = begin(line, hub, ticket, stage, nanos(at)).await?;
        told.start = told_now.then_some(at);
    }
    Ok(())
}

/// Gives a worker its start, with what the setup captured.
async fn begin(line: &Line, hub: &Hub, ticket: &Ticket, stage: Stage, at: u64) -> Result<bool, End> {
    let setup = match hub.setup(ticket) {
        Setup::Known(setup) => setup,
        // One that has started holds it already.
        Setup::Awaited | Setup::Gone if stage.started => None,
        // Every session looks again when worker 0 has said it.
        Setup::Awaited => return Ok(false),
        Setup::Gone => {
            let reason =
                "worker 0, which executed the setup, was lost before this worker had what it captured";
            return Err(Denied::for_good(reason).into());
        }
    };
    let setup = setup.map(|setup| setup.as_ref().to_owned());
    line.say(Say::Start(proto::Start { at, setup })).await?;
    Ok(true)
}

/// Takes one message of the worker.
async fn answer(
    line: &Line,
    hub: &Hub,
    ticket: &Ticket,
    plan: &plimsoll_plan::Plan,
    heard: Heard,
) -> Result<(), End> {
    match heard {
        Heard::Hello(_) => Err(Denied::for_good("a second hello on one stream").into()),
        Heard::Probe(probe) => {
            line.say(Say::ProbeReply(proto::ProbeReply { id: probe.id, now: nanos(SystemTime::now()) }))
                .await?;
            Ok(())
        }
        Heard::Ready(ready) => Ok(hub.ready(ticket, protocol::read_ready(ready))?),
        Heard::Failed(failed) => {
            hub.failed(ticket, protocol::read_failed(failed))?;
            line.say(Say::Noted(proto::Noted {})).await
        }
        Heard::Delta(delta) => {
            let snapshot = delta.snapshot.unwrap_or_default();
            let snapshot = wire::decode(&snapshot, &plan.layout).map_err(Denied::for_good)?;
            let facts = (delta.seq, delta.cumulative, delta.skew);
            let gauges = delta.gauges.as_ref().map(protocol::read_gauges);
            let (applied, seq) = hub.delta(ticket, facts, gauges, &snapshot)?;
            match applied {
                Applied::Gap => line.say(Say::Resend(proto::Resend {})).await,
                Applied::Merged | Applied::Duplicate | Applied::Restarted => {
                    line.say(Say::DeltaAck(proto::DeltaAck { seq })).await
                }
            }
        }
        Heard::Final(last) => {
            let last_seq = last.last_seq;
            if hub.done(ticket, last_seq, protocol::read_final(last))? {
                Ok(())
            } else {
                line.say(Say::Resend(proto::Resend {})).await
            }
        }
    }
}

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
