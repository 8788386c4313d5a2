//! Asks one question at one moment and says what came of it. Called by `follow.rs`, which decides when.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use plimsoll_measure::Layout;
use plimsoll_slo::template::{self, Values};
use plimsoll_slo::{Ask, Asked, Over, Query, Question, Slo, Tally};

use super::answer::Reading;
use super::client::{Client, Time};
use super::own::{Own, own};
use crate::Identity;

/// How long the series of a run are exported after its end.
const KEPT: Duration = Duration::from_secs(600);

/// What is asked about a run.
#[derive(Clone, Debug)]
pub struct Job {
    identity: Identity,
    /// The agreed start of the load.
    started: SystemTime,
    /// The judged part, nanoseconds since the start.
    judged: (u64, u64),
    questions: Vec<Question>,
    own: HashMap<String, Own>,
    /// When our own series are asked for, of a run that ended some time ago.
    past: Option<SystemTime>,
}

/// A part of the run that is asked about, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The judged part lies behind: what has no data will get none.
    pub(super) is_final: bool,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) query: Query,
    pub(super) asked: Asked,
    /// Asking again may bring something else.
    pub(super) may_pass: bool,
}

impl Job {
    /// The questions about a run whose load began, or will begin, at `started`.
    #[must_use]
    pub fn new(
        identity: Identity,
        started: SystemTime,
        questions: Vec<Question>,
        slos: &[Slo],
        layout: &Layout,
    ) -> Self {
        Self::at(identity, started, questions, (slos, layout), false)
    }

    /// The questions about a run that ended some time ago.
    #[must_use]
    pub fn past(
        identity: Identity,
        started: SystemTime,
        questions: Vec<Question>,
        slos: &[Slo],
        layout: &Layout,
    ) -> Self {
        Self::at(identity, started, questions, (slos, layout), true)
    }

    fn at(
        identity: Identity,
        started: SystemTime,
        questions: Vec<Question>,
        (slos, layout): (&[Slo], &Layout),
        past: bool,
    ) -> Self {
        let spans = layout.judged_spans(None);
        let judged = (spans.first().map_or(0, |(start, _)| *start), spans.last().map_or(0, |(_, end)| *end));
        let is_own = |slo: &&Slo| {
            questions.iter().any(|question| question.slo == slo.name && question.ask == Ask::Own)
        };
        let own = slos
            .iter()
            .filter(is_own)
            .map(|slo| (slo.name.clone(), own(slo, layout, &identity, past)))
            .collect();
        let past = past.then(|| started + Duration::from_nanos(judged.1) + KEPT);
        Self { identity, started, judged, questions, own, past }
    }

    pub(super) fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// When the judged part begins and ends.
    pub(super) fn judged(&self) -> (SystemTime, SystemTime) {
        let at = |nanos| self.started + Duration::from_nanos(nanos);
        (at(self.judged.0), at(self.judged.1))
    }

    /// The judged part up to a moment.
    pub(super) fn until(&self, now: SystemTime) -> Moment {
        let (start, end) = self.judged();
        Moment { start: millis(start), end: millis(now.min(end).max(start)), is_final: false }
    }

    /// The judged part of a run of which so many nanoseconds were measured.
    pub(super) fn whole(&self, measured: u64) -> Moment {
        let end = self.started + Duration::from_nanos(measured);
        Moment { is_final: true, ..self.until(end) }
    }

    /// A question that was not asked, and why.
    pub(super) fn unasked(&self, question: &Question, server: &str, why: &str, moment: Moment) -> Found {
        let asked = self.asked(question, server, moment);
        Found { query: Query::Missing(why.to_owned()), asked, may_pass: true }
    }

    fn values(&self, moment: Moment) -> Values {
        let Identity { namespace, test, run, .. } = self.identity.clone();
        Values { namespace, test, name: run, start: moment.start, end: moment.end }
    }

    fn asked(&self, question: &Question, server: &str, moment: Moment) -> Asked {
        let (query, over) = match &question.ask {
            Ask::Query { template, over, .. } => {
                (template::fill(template, &self.values(moment)).unwrap_or_default(), *over)
            }
            Ask::Own => (self.own.get(&question.slo).map(|own| own.total.clone()).unwrap_or_default(), None),
        };
        Asked {
            question: question.clone(),
            server: server.to_owned(),
            query,
            start: over.map(|_| moment.start),
            end: moment.end,
            raw: None,
            series: None,
            evaluations: 0,
            tally: None,
        }
    }

    /// Asks a question. One about our own series waits, at the end, until they were scraped after `scraped`.
    pub(super) async fn ask(
        &self,
        client: &Client,
        question: &Question,
        moment: Moment,
        scraped: Option<SystemTime>,
    ) -> Found {
        let found = Found {
            asked: self.asked(question, client.name(), moment),
            query: Query::Missing(String::new()),
            may_pass: false,
        };
        match &question.ask {
            Ask::Query { over, on_no_data, .. } => {
                number(client, found, *over, on_no_data.filter(|_| moment.is_final)).await
            }
            Ask::Own => match self.own.get(&question.slo) {
                Some(own) => {
                    let now = SystemTime::now();
                    let at = self.past.map_or(now, |past| past.min(now));
                    counters(client, found, own, (at, scraped.filter(|_| self.past.is_none()))).await
                }
                None => missing(found, "no SLO of this name is judged".to_owned(), false),
            },
        }
    }
}

fn missing(found: Found, why: String, may_pass: bool) -> Found {
    Found { query: Query::Missing(why), may_pass, ..found }
}

/// A query of the user's, which is to give one number.
async fn number(client: &Client, mut found: Found, over: Option<Over>, on_no_data: Option<bool>) -> Found {
    let Asked { start, end, .. } = found.asked;
    let time = match (over, start) {
        (Some(over), Some(start)) => Time::Range { start, end, step: (over.step / 1_000_000).max(1) },
        _ => Time::At(end),
    };
    let answer = match client.ask(&found.asked.query, &time).await {
        Ok(answer) => answer,
        Err(error) => return missing(found, error.to_string(), error.may_pass()),
    };
    let aggregate = over.map(|over| over.aggregate);
    found.asked.raw = answer.raw(aggregate);
    found.asked.series = answer.series();
    match (answer.number(aggregate), on_no_data) {
        (Reading::Number(number), _) => Found { query: Query::Value(number), ..found },
        (Reading::Unfit(why), _) => missing(found, why, false),
        (Reading::Empty, None) => missing(found, "the query gives no data".to_owned(), false),
        (Reading::Empty, Some(met)) => {
            Found { query: Query::NoData { met, why: "the query gives no data".to_owned() }, ..found }
        }
    }
}

/// The counters of one SLO among our own series.
async fn counters(
    client: &Client,
    mut found: Found,
    own: &Own,
    (at, scraped): (SystemTime, Option<SystemTime>),
) -> Found {
    let now = Time::At(millis(at));
    let one = async |query: &str| match client.ask(query, &now).await {
        Ok(answer) => match answer.number(None) {
            Reading::Number(number) => Ok(number),
            Reading::Empty => {
                Err("the server has no series of this run: does it scrape the operator?".to_owned())
            }
            Reading::Unfit(why) => Err(why),
        },
        Err(error) => Err(error.to_string()),
    };
    if let Some(after) = scraped {
        match one(&own.scraped).await {
            Ok(at) if at * 1000.0 >= millis(after) as f64 => {}
            Ok(_) => return missing(found, "the server has not scraped the end of the run".to_owned(), true),
            Err(why) => return missing(found, why, true),
        }
    }
    match (one(&own.total).await, one(&own.part).await) {
        (Ok(total), Ok(part)) => {
            let (total, part) = (count(total), count(part));
            let bad = if own.part_is_bad { part } else { total.saturating_sub(part) };
            let tally = Tally { total, bad: bad.min(total) };
            found.asked.raw = Some(format!("{total}, of them bad {}", tally.bad));
            found.asked.series = Some(1);
            found.asked.tally = Some(tally);
            Found { query: Query::Counts(tally), ..found }
        }
        (Err(why), _) | (_, Err(why)) => missing(found, why, true),
    }
}

/// A counter, which Prometheus keeps as a floating-point number.
fn count(number: f64) -> u64 {
    // Saturates; what is negative or no number is no count.
    number.round() as u64
}

/// Unix milliseconds.
pub(super) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
