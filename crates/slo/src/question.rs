//! What is asked of Prometheus for an SLO, and what came of it. Made from a manifest by `crates/api/src/lower/prometheus.rs`, asked by
//! `crates/telemetry/src/query`, judged by `query.rs` and `sourced.rs`.

use serde::{Deserialize, Serialize};

use crate::Tally;

/// What is asked for one SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// The SLO's name.
    pub slo: String,
    /// How it is asked.
    pub ask: Ask,
}

/// How a question is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ask {
    /// `prometheus: {query, over, onNoData}`.
    #[serde(rename_all = "camelCase")]
    Query {
        /// PromQL with the placeholders of [`crate::template`].
        template: String,
        /// Over the judged part; at its end when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        over: Option<Over>,
        /// What an empty answer means: `Some(true)` Met, `Some(false)` Missed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_no_data: Option<bool>,
    },
    /// `source: Prometheus`: the counters of the SLO among the series that Plimsoll itself exports.
    Own,
}

/// A range over the judged part, made one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Over {
    /// Nanoseconds between two points.
    pub step: u64,
    /// How the points become one number.
    pub aggregate: Aggregate,
}

/// How points become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Aggregate {
    Max,
    Min,
    Mean,
}

/// A question that was asked, and what came back, for people; what it is judged by is in [`crate::Facts::queries`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The question, to ask it again.
    pub question: Question,
    /// The server: its name in the configuration, or its URL.
    pub server: String,
    /// The query as it was sent.
    pub query: String,
    /// Beginning of the range in Unix milliseconds; absent for an instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<u64>,
    /// The instant, or the end of the range, in Unix milliseconds.
    pub end: u64,
    /// The answer as the server gave it, or an excerpt of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Series in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub series: Option<u64>,
    /// Times that it was asked in the course of the run, this one included.
    #[serde(default)]
    pub evaluations: u64,
    /// The counters, for [`Ask::Own`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
}
