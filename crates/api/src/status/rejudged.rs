//! A stored result with another judgement: what `plimsoll judge` prints. Written like the first one by `run.rs`.

use k8s_openapi::jiff::Timestamp;
use plimsoll_measure::Layout;
use plimsoll_slo::{Facts, Judgement, Slo};

use super::StoredResult;
use super::fit::{MESSAGE, cut, fit_run};
use super::run::{slo_status, slos_met};
use crate::conditions::{Stamp, Standing, of_run, verdict_reason};

/// The result of a run after it was judged again, by these SLOs and facts. `layout` is the run's own, with the pairs of counters behind it
/// that the SLOs want and the run had not.
#[must_use]
pub fn rejudged(
    result: &StoredResult,
    (slos, layout): (Vec<Slo>, Layout),
    facts: Facts,
    judgement: Judgement,
    now: Timestamp,
) -> StoredResult {
    let mut status = result.status.clone();
    status.verdict = Some(judgement.verdict.into());
    status.reason = Some(verdict_reason(judgement.reason).to_owned());
    status.message = Some(cut(&judgement.message, MESSAGE));
    status.slos = judgement.results.iter().map(|slo| slo_status(slo, &facts.asked)).collect();
    status.slos_left_out = None;
    status.slos_met = slos_met(&judgement.results);
    let (reason, message) = (verdict_reason(judgement.reason), status.message.clone().unwrap_or_default());
    let standing = Standing { verdict: status.verdict, reason, message: &message };
    let stamp = Stamp { previous: &result.status.conditions, generation: status.observed_generation, now };
    status.conditions = of_run(&standing, &stamp);
    fit_run(&mut status);
    StoredResult { status, judgement: Some(judgement), slos, layout, facts, ..result.clone() }
}
