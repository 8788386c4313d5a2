//! What can be set of the Aragora endpoints: in the configuration (`config.rs`), and while they are served by a fault
//! (`fault.rs`). `aragora/live.rs` checks them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::law::{Latency, When};

/// The settings of the Aragora endpoints. The defaults are an open, healthy service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Aragora {
    /// Whether the endpoints are served. Fixed at the start.
    pub enabled: bool,
    /// What answers look like.
    pub shape: Shape,
    /// Whether lists of debates and of search results are bare arrays in place of objects with the list inside.
    pub bare_lists: bool,
    /// How long the endpoints take, in milliseconds.
    pub latency: Latency,
    /// What `/api/health/deep` takes on top, in milliseconds.
    pub deep_ms: f64,
    /// Who gets in.
    pub auth: Auth,
    /// How debates go.
    pub debates: Debates,
    /// How gauntlets and pipelines go.
    pub jobs: Jobs,
    /// How WebSockets go, and what goes wrong with them.
    pub sockets: Sockets,
    /// How event streams go.
    pub sse: Sse,
}

/// What answers look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Shape {
    /// What the load tests of the service read: ids and tokens at the top, times in ISO 8601.
    #[default]
    Test,
    /// What the service itself sends: tokens under `tokens`, findings under `result`, times in seconds.
    Real,
}

/// Who gets in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Auth {
    /// Whether the endpoints that are not open ask for a token.
    pub required: bool,
    /// Tokens that are always good, beside those given out at a login.
    pub tokens: Vec<String>,
    /// What a login with an e-mail address that nobody knows does.
    pub unknown_emails: Unknown,
    /// Known e-mail addresses with their passwords.
    pub users: BTreeMap<String, String>,
    /// Whether a login asks for a second factor, at `/api/auth/mfa/verify`.
    pub mfa: bool,
    /// Whether a refresh gives out a new refresh token and revokes the old one.
    pub rotate: bool,
    /// Failed logins of one e-mail address after which it is answered with 429; 0 means never.
    pub lockout_after: u32,
    /// Seconds that an access token is good for.
    pub access_seconds: u32,
}

/// What a login with an unknown e-mail address does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unknown {
    /// Makes the account; the password of the first login is the right one from then on.
    #[default]
    Provision,
    /// 401.
    Reject,
}

/// How debates go: `startMs` after their creation they run, and every `messageMs` something happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Debates {
    /// Milliseconds until a debate runs.
    pub start_ms: f64,
    /// Milliseconds between two events.
    pub message_ms: f64,
    /// Milliseconds from creation to end, in place of the pace of `messageMs`.
    pub duration_ms: Option<f64>,
    /// Pieces in which each message of an agent comes as well; 0 means that it comes whole only.
    pub tokens: u32,
    /// How debates end, as a cycle over them.
    pub outcomes: Vec<Outcome>,
    /// Debates that never end.
    pub stuck: Option<When>,
    /// The most rounds of a debate.
    pub max_rounds: u32,
    /// Running debates above which creating one is answered with 503; 0 means no limit.
    pub capacity: usize,
    /// Milliseconds after their end when debates are forgotten, so that they are answered with 404.
    pub purge_after_ms: Option<f64>,
}

/// How a debate ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With the status `completed`.
    Completed,
    /// With the status `consensus`.
    Consensus,
    /// With the status `no_consensus`.
    NoConsensus,
    /// With the status `error`.
    Error,
}

/// How gauntlets and pipelines go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Jobs {
    /// Milliseconds from the start of a gauntlet to its end; the first tenth it is pending.
    pub gauntlet_ms: f64,
    /// Milliseconds from the start of a pipeline to its end.
    pub pipeline_ms: f64,
    /// Gauntlets that fail.
    pub failed: Option<When>,
    /// Verdicts of gauntlets, as a cycle over them.
    pub verdicts: Vec<String>,
    /// Gauntlets after which starting one is answered with 429; 0 means no limit.
    pub quota: u64,
}

/// How WebSockets go. Selections count the events of each socket, `refuse` all handshakes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Sockets {
    /// Whose clock a debate's events keep.
    pub pace: Pace,
    /// Milliseconds between two events of a channel.
    pub channel_ms: f64,
    /// Milliseconds between two `heartbeat` events on `/ws` and `/ws/stream`.
    pub heartbeat_ms: f64,
    /// The status of a request without an upgrade: 400 or 426.
    pub plain_status: u16,
    /// Origins that may connect; any if there are none. Others are closed with 4003.
    pub origins: Vec<String>,
    /// Messages per second that a client may send; what is more gets an error event. 0 means no limit.
    pub messages_per_second: f64,
    /// Messages that it may send at once.
    pub burst: u32,
    /// The largest message in bytes; a larger one gets an error event.
    pub max_bytes: usize,
    /// Sockets that one address may have open; further ones are closed with 4029. 0 means no limit.
    pub connections_per_ip: u64,
    /// Sockets that one address may open in a minute; further ones are closed with 4029. 0 means no limit.
    pub connects_per_minute: u32,
    /// Handshakes that are refused.
    pub refuse: Option<When>,
    /// The status of a refusal.
    pub refuse_status: u16,
    /// Milliseconds that a handshake takes on top.
    pub handshake_ms: f64,
    /// Messages sent after which the server ends a socket.
    pub drop_after: Option<u64>,
    /// The close code of that end; without one the connection ends with no close frame.
    pub drop_code: Option<u16>,
    /// Events that are left out; their numbers are missing.
    pub skip: Option<When>,
    /// Events that are sent twice.
    pub duplicate: Option<When>,
    /// Events that are sent after their successor.
    pub reorder: Option<When>,
    /// Events that are cut off in the middle, so that they are no JSON.
    pub bad_json: Option<When>,
    /// Milliseconds that the server lets a client's message lie.
    pub read_delay_ms: f64,
}

/// Whose clock the events of a debate keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pace {
    /// Every subscriber gets all events, paced from its subscription.
    #[default]
    Subscriber,
    /// A subscriber gets what happens from now on; of a debate that is over, its end.
    Debate,
}

/// How event streams go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Sse {
    /// Milliseconds of silence after which a comment is sent.
    pub heartbeat_ms: f64,
    /// Events after which the connection is dropped.
    pub drop_after: Option<usize>,
}

impl Default for Aragora {
    fn default() -> Self {
        Aragora {
            enabled: true,
            shape: Shape::Test,
            bare_lists: false,
            latency: Latency::Sequence(vec![2.0, 3.0, 2.0, 4.0, 3.0, 2.0, 5.0, 3.0]),
            deep_ms: 50.0,
            auth: Auth::default(),
            debates: Debates::default(),
            jobs: Jobs::default(),
            sockets: Sockets::default(),
            sse: Sse::default(),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Auth {
            required: false,
            tokens: Vec::new(),
            unknown_emails: Unknown::Provision,
            users: BTreeMap::new(),
            mfa: false,
            rotate: true,
            lockout_after: 0,
            access_seconds: 3600,
        }
    }
}

impl Default for Debates {
    fn default() -> Self {
        use Outcome::{Completed, Consensus, NoConsensus};
        Debates {
            start_ms: 50.0,
            message_ms: 20.0,
            duration_ms: None,
            tokens: 0,
            outcomes: vec![Consensus, Completed, Consensus, NoConsensus],
            stuck: None,
            max_rounds: 10,
            capacity: 0,
            purge_after_ms: None,
        }
    }
}

impl Default for Jobs {
    fn default() -> Self {
        let verdicts = ["PASS", "FAIL", "NEEDS_REVIEW"].map(String::from).to_vec();
        Jobs { gauntlet_ms: 200.0, pipeline_ms: 200.0, failed: None, verdicts, quota: 0 }
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Sockets {
            pace: Pace::Subscriber,
            channel_ms: 1000.0,
            heartbeat_ms: 30_000.0,
            plain_status: 426,
            origins: Vec::new(),
            messages_per_second: 0.0,
            burst: 20,
            max_bytes: 64 << 10,
            connections_per_ip: 0,
            connects_per_minute: 0,
            refuse: None,
            refuse_status: 503,
            handshake_ms: 0.0,
            drop_after: None,
            drop_code: None,
            skip: None,
            duplicate: None,
            reorder: None,
            bad_json: None,
            read_delay_ms: 0.0,
        }
    }
}

impl Default for Sse {
    fn default() -> Self {
        Sse { heartbeat_ms: 15_000.0, drop_after: None }
    }
}
