//! The JSON of a stored result: requests and windows by name, percentiles beside their histograms, so that other programs can read it.
//! The other side of `stored.rs`.

use plimsoll_measure::{
    Cell, Counts, Health, Histogram, HistogramError, HistogramParts, Layout, ObjectiveCount, RequestId,
    Second, Snapshot, WindowId,
};
use plimsoll_plan::RunId;
use plimsoll_slo::{Facts, Judgement, Slo, Validity};
use serde::{Deserialize, Serialize};

use super::{RESULT_VERSION, StoredResult};
use crate::v1alpha1::LoadTestRunStatus;

/// A result as JSON. Durations are nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Form {
    version: u32,
    run: RunId,
    target: String,
    spec_hash: String,
    plan_hash: String,
    status: LoadTestRunStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    judgement: Option<Judgement>,
    slos: Vec<Slo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity: Option<Validity>,
    facts: Facts,
    duration: u64,
    layout: Layout,
    requests: Vec<Row>,
    /// Requests in scope and bad ones, in turn, of each objective of the layout.
    objectives: Vec<u64>,
    seconds_per_point: u32,
    series: Vec<Point>,
    health: Health,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
}

/// One request name in one window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Row {
    request: String,
    window: String,
    counts: Counts,
    percentiles: Percentiles,
    latency: HistogramParts,
    /// Absent if it equals `latency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeded: Option<HistogramParts>,
    /// Absent if it equals `latency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<HistogramParts>,
    #[serde(skip_serializing_if = "is_empty")]
    dns: HistogramParts,
    #[serde(skip_serializing_if = "is_empty")]
    connect: HistogramParts,
    #[serde(skip_serializing_if = "is_empty")]
    tls: HistogramParts,
    #[serde(skip_serializing_if = "is_empty")]
    first_byte: HistogramParts,
}

/// Percentiles of the latency; one that falls among requests without a complete response is absent. For reading only.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Percentiles {
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p90: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p95: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<u64>,
}

/// One point of the series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Point {
    second: u32,
    /// Users, or arrivals per 1000 minutes, that the profile asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<u64>,
    /// Requests that were due (open model), or begun (closed model).
    asked: u64,
    sent: u64,
    failed: u64,
    complete: u64,
    incomplete: u64,
    percentiles: Percentiles,
    #[serde(skip_serializing_if = "is_empty")]
    latency: HistogramParts,
    /// As in [`Form::objectives`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objectives: Vec<u64>,
}

/// Why a stored result cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormError {
    #[error("the stored result has version {0}, this program reads up to {RESULT_VERSION}: use a newer one")]
    Version(u32),
    #[error("the stored result names {what} {name:?}, which its layout does not hold")]
    Name { what: &'static str, name: String },
    #[error("the stored result's counters must be pairs of all and bad requests")]
    Objectives,
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

fn is_empty(parts: &HistogramParts) -> bool {
    *parts == HistogramParts::default()
}

impl From<StoredResult> for Form {
    fn from(result: StoredResult) -> Self {
        let StoredResult { layout, snapshot, asked, .. } = result;
        let requests = snapshot.cells.iter().map(|cell| Row::new(cell, &layout)).collect();
        let loads = asked.iter().copied().map(Some).chain(std::iter::repeat(None));
        let series =
            snapshot.series.iter().zip(loads).map(|(second, load)| Point::new(second, load)).collect();
        Self {
            version: result.version,
            run: result.run,
            target: result.target,
            spec_hash: result.spec_hash,
            plan_hash: result.plan_hash,
            status: result.status,
            judgement: result.judgement,
            slos: result.slos,
            validity: result.validity,
            facts: result.facts,
            duration: result.duration,
            layout,
            requests,
            objectives: flat(&snapshot.objectives),
            seconds_per_point: result.seconds_per_point,
            series,
            health: snapshot.health,
            left_out: result.left_out,
        }
    }
}

impl TryFrom<Form> for StoredResult {
    type Error = FormError;

    fn try_from(form: Form) -> Result<Self, FormError> {
        if form.version > RESULT_VERSION {
            return Err(FormError::Version(form.version));
        }
        let mut cells =
            form.requests.iter().map(|row| row.cell(&form.layout)).collect::<Result<Vec<_>, _>>()?;
        cells.sort_by_key(|cell| (cell.request, cell.window));
        let asked = form.series.iter().map_while(|point| point.load).collect();
        let series = form.series.iter().map(Point::second).collect::<Result<_, _>>()?;
        let objectives = pairs(&form.objectives)?;
        Ok(Self {
            version: form.version,
            run: form.run,
            target: form.target,
            spec_hash: form.spec_hash,
            plan_hash: form.plan_hash,
            status: form.status,
            judgement: form.judgement,
            slos: form.slos,
            validity: form.validity,
            facts: form.facts,
            duration: form.duration,
            layout: form.layout,
            snapshot: Snapshot { cells, objectives, series, health: form.health },
            seconds_per_point: form.seconds_per_point,
            asked,
            left_out: form.left_out,
        })
    }
}

fn flat(objectives: &[ObjectiveCount]) -> Vec<u64> {
    objectives.iter().flat_map(|count| [count.total, count.bad]).collect()
}

fn pairs(numbers: &[u64]) -> Result<Vec<ObjectiveCount>, FormError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    let counts = pairs.iter().map(|[total, bad]| ObjectiveCount { total: *total, bad: *bad });
    rest.is_empty().then(|| counts.collect()).ok_or(FormError::Objectives)
}

impl Percentiles {
    fn new(latency: &Histogram, incomplete: u64) -> Self {
        let at = |q| latency.percentile(q, incomplete).finite();
        Self { p50: at(5_000), p90: at(9_000), p95: at(9_500), p99: at(9_900) }
    }
}

impl Row {
    fn new(cell: &Cell, layout: &Layout) -> Self {
        let unless_equal = |histogram: &Histogram| (*histogram != cell.latency).then(|| histogram.to_parts());
        let (request, window) = (usize::from(cell.request.0), usize::from(cell.window.0));
        Self {
            request: layout.requests.get(request).cloned().unwrap_or_else(|| format!("#{request}")),
            window: layout
                .windows
                .get(window)
                .map_or_else(|| format!("#{window}"), |window| window.name.clone()),
            counts: cell.counts.clone(),
            percentiles: Percentiles::new(&cell.latency, cell.counts.incomplete),
            latency: cell.latency.to_parts(),
            succeeded: unless_equal(&cell.succeeded),
            service: unless_equal(&cell.service),
            dns: cell.dns.to_parts(),
            connect: cell.connect.to_parts(),
            tls: cell.tls.to_parts(),
            first_byte: cell.first_byte.to_parts(),
        }
    }

    fn cell(&self, layout: &Layout) -> Result<Cell, FormError> {
        let request = layout.requests.iter().position(|name| *name == self.request);
        let window = layout.windows.iter().position(|window| window.name == self.window);
        let latency = Histogram::from_parts(&self.latency)?;
        let or_latency = |parts: &Option<HistogramParts>| {
            parts.as_ref().map_or_else(|| Ok(latency.clone()), Histogram::from_parts)
        };
        Ok(Cell {
            request: RequestId(number(request, "request", &self.request)?),
            window: WindowId(number(window, "window", &self.window)?),
            counts: self.counts.clone(),
            succeeded: or_latency(&self.succeeded)?,
            service: or_latency(&self.service)?,
            dns: Histogram::from_parts(&self.dns)?,
            connect: Histogram::from_parts(&self.connect)?,
            tls: Histogram::from_parts(&self.tls)?,
            first_byte: Histogram::from_parts(&self.first_byte)?,
            latency,
        })
    }
}

/// The number of a name; `#7` is the number 7 that the layout had no name for.
fn number(at: Option<usize>, what: &'static str, name: &str) -> Result<u16, FormError> {
    let at = at.and_then(|at| u16::try_from(at).ok()).or_else(|| name.strip_prefix('#')?.parse().ok());
    at.ok_or_else(|| FormError::Name { what, name: name.to_owned() })
}

impl Point {
    fn new(second: &Second, load: Option<u64>) -> Self {
        Self {
            second: second.second,
            load,
            asked: second.asked,
            sent: second.sent,
            failed: second.failed,
            complete: second.complete,
            incomplete: second.incomplete,
            percentiles: Percentiles::new(&second.latency, second.incomplete),
            latency: second.latency.to_parts(),
            objectives: flat(&second.objectives),
        }
    }

    fn second(&self) -> Result<Second, FormError> {
        Ok(Second {
            second: self.second,
            asked: self.asked,
            sent: self.sent,
            failed: self.failed,
            objectives: pairs(&self.objectives)?,
            latency: Histogram::from_parts(&self.latency)?,
            complete: self.complete,
            incomplete: self.incomplete,
        })
    }
}
