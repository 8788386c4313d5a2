//! The resources `plimsoll.dev/v1alpha1` as users write them. Their doc comments are what `kubectl explain` prints.
//!
//! Optional fields have no schema default (a default would change stored specs when it changes); `lower` fills them in.

mod action;
mod data;
mod load_test;
mod outputs;
pub(crate) mod patterns;
mod policy;
mod profile;
mod rules;
mod run;
mod scenario;
mod slo;
mod status;
mod step;
mod summary;
mod target;
mod vars;
mod workers;

pub use action::{
    AwaitClose, Close, Expect, Hold, Http, OnTimeout, Ping, Poll, Receive, SocketAction, Sse, WebSocket,
};
pub use data::{Data, DataFormat, OnEnd, Pick};
pub use load_test::{LoadTest, LoadTestSpec};
pub use outputs::{
    HeadersFrom, Otlp, OtlpProtocol, PrometheusServer, Results, Telemetry, Traces, VolumeClaim,
};
pub use policy::{
    ByOutcome, Concurrency, OnEdit, OnWorkerLoss, Rollout, RunPolicy, Schedule, Trigger, Validity,
};
pub use profile::{
    ArrivalStage, Arrivals, ClusterLoadProfile, ClusterLoadProfileSpec, Distribution, LoadProfile,
    LoadProfileSpec, Preset, Profile, ProfileKind, ProfileRef, Shape, Stage,
};
pub use run::{LoadTestRun, LoadTestRunSpec, Overrides, TargetOverride, TestRef, WorkersOverride};
pub use scenario::{Call, Flow, Scenario, ScenarioProfile, Task};
pub use slo::{
    Abort, Aggregate, CheckRate, Count, ErrorRate, Latency, MetricRate, OnNoData, Population,
    PrometheusQuery, QueryRange, RelativeTo, Severity, Slo, SloSource, StatusRate, Throughput, TimeoutRate,
};
pub use status::{
    Delivery, HistoryEntry, LoadTestRunStatus, LoadTestStatus, Phase, RunResults, Span, Verdict, WorkerCounts,
};
pub use step::{Cap, Expressions, Measure, OnFailure, Repeat, Retry, Step, Wait};
pub use summary::{QueryStatus, SloOutcome, SloStatus, Summary, Total};
pub use target::{
    CertificateAuthority, ClientCertificate, Connections, ConnectionsPer, HttpVersion, NameRef, Preflight,
    Resolve, Target, Tls,
};
pub use vars::{KeyRef, ValueFrom, Var};
pub use workers::{Resources, Workers};

/// API group.
pub const GROUP: &str = "plimsoll.dev";
/// API version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every resource of ours.
pub const API_VERSION: &str = "plimsoll.dev/v1alpha1";
/// Longest name of a LoadTest.
pub const LONGEST_TEST_NAME: usize = 40;
/// Longest name of a LoadTestRun: its Job's pods are named after it.
pub const LONGEST_RUN_NAME: usize = 52;
