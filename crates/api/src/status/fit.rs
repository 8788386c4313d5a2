//! Keeps a status within its limits: texts as long as the CRD allows, and the whole under 32 KiB. Used by `run.rs` and `mirror.rs`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use crate::v1alpha1::{LoadTestRunStatus, LoadTestStatus, SloOutcome, SloStatus};

/// Bytes of JSON that no status exceeds.
pub const LARGEST_STATUS: usize = 32 * 1024 - 1;
/// Longest message of status and conditions, in bytes.
pub(super) const MESSAGE: usize = 2048;
/// Most notices, and bytes of each.
const NOTICES: usize = 20;
const NOTICE: usize = 512;
/// Most results of SLOs.
const SLOS: usize = 100;
/// What is left of messages when nothing else can be left out.
const SHORT: usize = 256;

/// The text within so many bytes, with an ellipsis if it had to be cut.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let room = bytes.saturating_sub("…".len());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}…", &text[..end])
}

/// As many notices as there may be, none too long.
pub(super) fn notices(notices: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = notices.iter().take(NOTICES).map(|notice| cut(notice, NOTICE)).collect();
    if notices.len() > NOTICES {
        shown.truncate(NOTICES - 1);
        shown.push(format!("{} more notices", notices.len() - shown.len()));
    }
    shown
}

/// The parts of a status that can become shorter.
struct Parts<'a> {
    slos: &'a mut Vec<SloStatus>,
    left_out: &'a mut Option<u32>,
    notices: &'a mut Vec<String>,
    message: &'a mut Option<String>,
    conditions: &'a mut Vec<Condition>,
}

/// Leaves out of a run's status what does not fit.
pub(super) fn fit_run(status: &mut LoadTestRunStatus) {
    fit(status, |status| Parts {
        slos: &mut status.slos,
        left_out: &mut status.slos_left_out,
        notices: &mut status.notices,
        message: &mut status.message,
        conditions: &mut status.conditions,
    });
}

/// Leaves out of a test's status what does not fit.
pub(super) fn fit_test(status: &mut LoadTestStatus) {
    fit(status, |status| Parts {
        slos: &mut status.slos,
        left_out: &mut status.slos_left_out,
        notices: &mut status.notices,
        message: &mut status.message,
        conditions: &mut status.conditions,
    });
}

fn fit<T: Serialize>(status: &mut T, parts: impl Fn(&mut T) -> Parts<'_>) {
    let Parts { slos, left_out, .. } = parts(status);
    while slos.len() > SLOS {
        leave_out_slo(slos, left_out);
    }
    loop {
        let excess = size(status).saturating_sub(LARGEST_STATUS);
        if excess == 0 || !parts(status).shrink(excess) {
            return;
        }
    }
}

fn size(part: &impl Serialize) -> usize {
    serde_json::to_vec(part).map_or(0, |json| json.len())
}

impl Parts<'_> {
    /// Becomes shorter; false if it cannot.
    fn shrink(self, excess: usize) -> bool {
        // Queries are in the stored result, too.
        let queries = self.slos.iter_mut().filter_map(|slo| slo.query.take());
        if queries.count() > 0 {
            return true;
        }
        if !self.slos.is_empty() {
            let mut saved = 0;
            while saved < excess
                && let Some(slo) = leave_out_slo(self.slos, self.left_out)
            {
                saved += size(&slo);
            }
            return true;
        }
        if self.notices.len() > 1 {
            let left_out = self.notices.len();
            *self.notices = vec![format!("{left_out} notices do not fit here")];
            return true;
        }
        let messages = self.conditions.iter_mut().map(|condition| &mut condition.message).chain(self.message);
        messages.fold(false, |shrunk, message| {
            let long = message.len() > SHORT;
            *message = cut(message, SHORT);
            shrunk || long
        })
    }
}

/// Takes out the least important result: one that is met before one that is not, then by severity, then the last.
fn leave_out_slo(slos: &mut Vec<SloStatus>, left_out: &mut Option<u32>) -> Option<SloStatus> {
    let weight = |slo: &SloStatus| {
        let severities = ["Info", "Warning", "Error", "Critical"];
        let severity = severities.iter().position(|severity| *severity == slo.severity);
        (slo.result != SloOutcome::Met, severity)
    };
    let least = slos.iter().enumerate().rev().min_by_key(|(_, slo)| weight(slo)).map(|(at, _)| at)?;
    *left_out = Some(left_out.unwrap_or_default() + 1);
    Some(slos.remove(least))
}
