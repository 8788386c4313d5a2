//! The JSON of a stored result: requests and windows by name, percentiles beside their histograms, so that other programs can read it.
//! The other side of `stored.rs`.

use plimsoll_measure::{
    Cell, Counts, ErrorClass, Failure, Health, Histogram, HistogramError, HistogramParts, Layout, MetricCell,
    MetricId, ObjectiveCount, RequestId, Second, Snapshot, WindowId,
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricRow>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FailureRow>,
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

/// One metric in one window; the fields are those of [`MetricCell`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MetricRow {
    /// Its place in the layout: two checks may have one name.
    metric: u16,
    name: String,
    window: String,
    count: u64,
    good: u64,
    sum: u64,
    timed_out: u64,
    #[serde(skip_serializing_if = "is_empty")]
    histogram: HistogramParts,
}

/// Requests that failed of one cause; the fields are those of [`Failure`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FailureRow {
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<ErrorClass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    count: u64,
    at: u64,
    example: String,
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
    /// Users that the profile asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<u64>,
    /// Arrivals per 1000 minutes that the profile asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u64>,
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
        let StoredResult { layout, snapshot, users, rates, .. } = result;
        let requests = snapshot.cells.iter().map(|cell| Row::new(cell, &layout)).collect();
        let metrics = snapshot.metrics.iter().map(|cell| MetricRow::new(cell, &layout)).collect();
        let failures =
            snapshot.failures.into_iter().map(|failure| FailureRow::new(failure, &layout)).collect();
        let point = |(at, second)| Point::new(second, users.get(at).copied(), rates.get(at).copied());
        let series = snapshot.series.iter().enumerate().map(point).collect();
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
            metrics,
            failures,
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
        let metrics = form.metrics.iter().map(|row| row.cell(&form.layout)).collect::<Result<_, _>>()?;
        let failures =
            form.failures.into_iter().map(|row| row.failure(&form.layout)).collect::<Result<_, _>>()?;
        let users = form.series.iter().map_while(|point| point.users).collect();
        let rates = form.series.iter().map_while(|point| point.rate).collect();
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
            snapshot: Snapshot { cells, metrics, failures, objectives, series, health: form.health },
            seconds_per_point: form.seconds_per_point,
            users,
            rates,
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
        Self {
            request: request_name(cell.request, layout),
            window: window_name(cell.window, layout),
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
        let latency = Histogram::from_parts(&self.latency)?;
        let or_latency = |parts: &Option<HistogramParts>| {
            parts.as_ref().map_or_else(|| Ok(latency.clone()), Histogram::from_parts)
        };
        Ok(Cell {
            request: request_id(&self.request, layout)?,
            window: window_id(&self.window, layout)?,
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

impl MetricRow {
    fn new(cell: &MetricCell, layout: &Layout) -> Self {
        let metric = layout.metrics.get(usize::from(cell.metric.0));
        Self {
            metric: cell.metric.0,
            name: metric.map(|metric| metric.name.clone()).unwrap_or_default(),
            window: window_name(cell.window, layout),
            count: cell.count,
            good: cell.good,
            sum: cell.sum,
            timed_out: cell.timed_out,
            histogram: cell.histogram.to_parts(),
        }
    }

    fn cell(&self, layout: &Layout) -> Result<MetricCell, FormError> {
        Ok(MetricCell {
            metric: MetricId(self.metric),
            window: window_id(&self.window, layout)?,
            count: self.count,
            good: self.good,
            sum: self.sum,
            timed_out: self.timed_out,
            histogram: Histogram::from_parts(&self.histogram)?,
        })
    }
}

impl FailureRow {
    fn new(failure: Failure, layout: &Layout) -> Self {
        let Failure { request, class, status, count, at, example } = failure;
        Self { request: request_name(request, layout), class, status, count, at, example }
    }

    fn failure(self, layout: &Layout) -> Result<Failure, FormError> {
        let Self { request, class, status, count, at, example } = self;
        Ok(Failure { request: request_id(&request, layout)?, class, status, count, at, example })
    }
}

fn request_name(id: RequestId, layout: &Layout) -> String {
    layout.requests.get(usize::from(id.0)).cloned().unwrap_or_else(|| format!("#{}", id.0))
}

fn window_name(id: WindowId, layout: &Layout) -> String {
    layout.windows.get(usize::from(id.0)).map_or_else(|| format!("#{}", id.0), |window| window.name.clone())
}

fn request_id(name: &str, layout: &Layout) -> Result<RequestId, FormError> {
    let at = layout.requests.iter().position(|known| known == name);
    number(at, "request", name).map(RequestId)
}

fn window_id(name: &str, layout: &Layout) -> Result<WindowId, FormError> {
    let at = layout.windows.iter().position(|window| window.name == name);
    number(at, "window", name).map(WindowId)
}

/// The number of a name; `#7` is the number 7 that the layout had no name for.
fn number(at: Option<usize>, what: &'static str, name: &str) -> Result<u16, FormError> {
    let at = at.and_then(|at| u16::try_from(at).ok()).or_else(|| name.strip_prefix('#')?.parse().ok());
    at.ok_or_else(|| FormError::Name { what, name: name.to_owned() })
}

impl Point {
    fn new(second: &Second, users: Option<u64>, rate: Option<u64>) -> Self {
        Self {
            second: second.second,
            users,
            rate,
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
