//! Snapshots as protocol messages and back, and the cutting of large ones. Used by `outbox.rs` (worker) and `attend.rs` (operator).

use plimsoll_measure::{
    Cell, Counts, ErrorClass, Failure, Health, Held, Histogram, HistogramError, HistogramParts, Layout,
    MetricCell, MetricId, ObjectiveCount, RequestId, Second, Snapshot, WindowId, shorten,
};
use prost::Message;

use crate::proto;

/// Largest message of the protocol, bytes.
pub const MAX_MESSAGE: usize = 4 << 20;

/// Room for what surrounds cells and seconds in a message.
const ENVELOPE: usize = 4 << 10;

/// Why a snapshot of a worker cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// An index points outside the plan's layout.
    #[error("snapshot names {what} {index}, but the plan has {count}")]
    Index {
        /// `request`, `window`, `metric`, `error class` or `status`.
        what: &'static str,
        /// The number that came.
        index: u32,
        /// How many there are.
        count: usize,
    },
    /// Counters of another plan.
    #[error("snapshot has {got} objectives, but the plan has {want}")]
    Objectives {
        /// How many came.
        got: usize,
        /// How many the plan has.
        want: usize,
    },
    /// More error classes than there are.
    #[error("snapshot has {0} error classes, but there are {all}", all = ErrorClass::ALL.len())]
    Classes(usize),
    /// Counters of a metric that cannot be.
    #[error("counts of metric {0} contradict each other")]
    Metric(u32),
    /// A histogram of another version, or nonsense.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

/// Cuts a snapshot into messages of at most `limit` bytes, in order; at least one, even of an empty snapshot.
///
/// What alone is over the limit is sent alone.
pub(crate) fn encode(snapshot: &Snapshot, limit: usize) -> Vec<proto::Snapshot> {
    let room = limit.saturating_sub(ENVELOPE);
    let mut parts = Vec::new();
    let mut part = proto::Snapshot {
        objectives: snapshot.objectives.iter().map(objective).collect(),
        health: Some(health(&snapshot.health)),
        ..proto::Snapshot::default()
    };
    let mut size = part.encoded_len();
    let mut fits = |part: &mut proto::Snapshot, more: usize| {
        // Tag and length of an embedded message take at most 6 bytes.
        let is_empty = part.cells.is_empty()
            && part.metrics.is_empty()
            && part.failures.is_empty()
            && part.series.is_empty();
        let full = size + more + 6 > room && !is_empty;
        if full {
            parts.push(std::mem::take(part));
            size = 0;
        }
        size += more + 6;
    };
    for cell in snapshot.cells.iter().map(cell) {
        fits(&mut part, cell.encoded_len());
        part.cells.push(cell);
    }
    for cell in snapshot.metrics.iter().map(metric) {
        fits(&mut part, cell.encoded_len());
        part.metrics.push(cell);
    }
    for failure in snapshot.failures.iter().map(failure) {
        fits(&mut part, failure.encoded_len());
        part.failures.push(failure);
    }
    for second in snapshot.series.iter().map(second) {
        fits(&mut part, second.encoded_len());
        part.series.push(second);
    }
    parts.push(part);
    parts
}

/// Reads a snapshot of a run with this layout.
///
/// # Errors
/// When it does not fit the layout; nothing of it may be counted then.
pub(crate) fn decode(message: &proto::Snapshot, layout: &Layout) -> Result<Snapshot, WireError> {
    Ok(Snapshot {
        cells: message.cells.iter().map(|cell| read_cell(cell, layout)).collect::<Result<_, _>>()?,
        metrics: message.metrics.iter().map(|cell| read_metric(cell, layout)).collect::<Result<_, _>>()?,
        failures: message.failures.iter().map(|one| read_failure(one, layout)).collect::<Result<_, _>>()?,
        objectives: read_objectives(&message.objectives, layout)?,
        series: message.series.iter().map(|second| read_second(second, layout)).collect::<Result<_, _>>()?,
        health: message.health.as_ref().map_or_else(|| Ok(Health::default()), read_health)?,
    })
}

fn histogram(histogram: &Histogram) -> Option<proto::Histogram> {
    if histogram.is_empty() {
        return None;
    }
    let HistogramParts { shift, zero, sum, sum_high, min, max, buckets } = histogram.to_parts();
    let shift = u32::try_from(shift).unwrap_or(u32::MAX);
    Some(proto::Histogram { shift, zero, sum, sum_high, min, max, buckets })
}

fn read_histogram(message: Option<&proto::Histogram>) -> Result<Histogram, HistogramError> {
    let Some(message) = message else { return Ok(Histogram::default()) };
    Histogram::from_parts(&HistogramParts {
        shift: u64::from(message.shift),
        zero: message.zero,
        sum: message.sum,
        sum_high: message.sum_high,
        min: message.min,
        max: message.max,
        buckets: message.buckets.clone(),
    })
}

fn objective(count: &ObjectiveCount) -> proto::ObjectiveCount {
    proto::ObjectiveCount { total: count.total, bad: count.bad }
}

fn read_objectives(
    counts: &[proto::ObjectiveCount],
    layout: &Layout,
) -> Result<Vec<ObjectiveCount>, WireError> {
    let (got, want) = (counts.len(), layout.objectives.len());
    if got != 0 && got != want {
        return Err(WireError::Objectives { got, want });
    }
    Ok(counts.iter().map(|count| ObjectiveCount { total: count.total, bad: count.bad }).collect())
}

fn cell(cell: &Cell) -> proto::Cell {
    proto::Cell {
        request: u32::from(cell.request.0),
        window: u32::from(cell.window.0),
        counts: Some(counts(&cell.counts)),
        latency: histogram(&cell.latency),
        succeeded: histogram(&cell.succeeded),
        service: histogram(&cell.service),
        dns: histogram(&cell.dns),
        connect: histogram(&cell.connect),
        tls: histogram(&cell.tls),
        first_byte: histogram(&cell.first_byte),
    }
}

fn read_cell(message: &proto::Cell, layout: &Layout) -> Result<Cell, WireError> {
    Ok(Cell {
        request: RequestId(small("request", message.request, layout.requests.len())?),
        window: WindowId(small("window", message.window, layout.windows.len())?),
        counts: message.counts.as_ref().map_or_else(|| Ok(Counts::default()), read_counts)?,
        latency: read_histogram(message.latency.as_ref())?,
        succeeded: read_histogram(message.succeeded.as_ref())?,
        service: read_histogram(message.service.as_ref())?,
        dns: read_histogram(message.dns.as_ref())?,
        connect: read_histogram(message.connect.as_ref())?,
        tls: read_histogram(message.tls.as_ref())?,
        first_byte: read_histogram(message.first_byte.as_ref())?,
    })
}

fn metric(cell: &MetricCell) -> proto::MetricCell {
    proto::MetricCell {
        metric: u32::from(cell.metric.0),
        window: u32::from(cell.window.0),
        count: cell.count,
        good: cell.good,
        sum: cell.sum,
        timed_out: cell.timed_out,
        histogram: histogram(&cell.histogram),
    }
}

fn read_metric(message: &proto::MetricCell, layout: &Layout) -> Result<MetricCell, WireError> {
    let cell = MetricCell {
        metric: MetricId(small("metric", message.metric, layout.metrics.len())?),
        window: WindowId(small("window", message.window, layout.windows.len())?),
        count: message.count,
        good: message.good,
        sum: message.sum,
        timed_out: message.timed_out,
        histogram: read_histogram(message.histogram.as_ref())?,
    };
    let ended = cell.good.checked_add(cell.timed_out).filter(|ended| *ended <= cell.count);
    if ended.is_none() || cell.histogram.count() > cell.good {
        return Err(WireError::Metric(message.metric));
    }
    Ok(cell)
}

fn failure(failure: &Failure) -> proto::Failure {
    proto::Failure {
        request: u32::from(failure.request.0),
        class: failure.class.map(|class| class as u32),
        status: failure.status.map(u32::from),
        count: failure.count,
        at: failure.at,
        example: failure.example.clone(),
    }
}

fn read_failure(message: &proto::Failure, layout: &Layout) -> Result<Failure, WireError> {
    let class = |index| {
        let at = small("error class", index, ErrorClass::ALL.len())?;
        Ok::<_, WireError>(ErrorClass::ALL[usize::from(at)])
    };
    Ok(Failure {
        request: RequestId(small("request", message.request, layout.requests.len())?),
        class: message.class.map(class).transpose()?,
        status: message.status.map(|status| small("status", status, 1000)).transpose()?,
        count: message.count,
        at: message.at,
        example: shorten(message.example.clone()),
    })
}

/// An index below `count`.
fn small(what: &'static str, index: u32, count: usize) -> Result<u16, WireError> {
    let small = u16::try_from(index).ok().filter(|small| usize::from(*small) < count);
    small.ok_or(WireError::Index { what, index, count })
}

fn counts(counts: &Counts) -> proto::Counts {
    let class = |class: &ErrorClass| counts.classes.get(class).copied().unwrap_or_default();
    proto::Counts {
        sent: counts.sent,
        not_sent: counts.not_sent,
        complete: counts.complete,
        incomplete: counts.incomplete,
        unfinished: counts.unfinished,
        unsent: counts.unsent,
        failed: counts.failed,
        classes: if counts.classes.is_empty() {
            Vec::new()
        } else {
            ErrorClass::ALL.iter().map(class).collect()
        },
        statuses: counts.statuses.iter().map(|(status, n)| (u32::from(*status), *n)).collect(),
        received: counts.received,
        retries: counts.retries,
    }
}

fn read_counts(message: &proto::Counts) -> Result<Counts, WireError> {
    if message.classes.len() > ErrorClass::ALL.len() {
        return Err(WireError::Classes(message.classes.len()));
    }
    let classes = ErrorClass::ALL.into_iter().zip(message.classes.iter().copied()).filter(|(_, n)| *n > 0);
    let status = |(status, n): (&u32, &u64)| Ok((small("status", *status, 1000)?, *n));
    Ok(Counts {
        sent: message.sent,
        not_sent: message.not_sent,
        complete: message.complete,
        incomplete: message.incomplete,
        unfinished: message.unfinished,
        unsent: message.unsent,
        failed: message.failed,
        classes: classes.collect(),
        statuses: message.statuses.iter().map(status).collect::<Result<_, WireError>>()?,
        received: message.received,
        retries: message.retries,
    })
}

fn second(second: &Second) -> proto::Second {
    proto::Second {
        second: second.second,
        asked: second.asked,
        sent: second.sent,
        failed: second.failed,
        objectives: second.objectives.iter().map(objective).collect(),
        latency: histogram(&second.latency),
        complete: second.complete,
        incomplete: second.incomplete,
    }
}

fn read_second(message: &proto::Second, layout: &Layout) -> Result<Second, WireError> {
    Ok(Second {
        second: message.second,
        asked: message.asked,
        sent: message.sent,
        failed: message.failed,
        objectives: read_objectives(&message.objectives, layout)?,
        latency: read_histogram(message.latency.as_ref())?,
        complete: message.complete,
        incomplete: message.incomplete,
    })
}

fn health(health: &Health) -> proto::Health {
    proto::Health {
        lateness: histogram(&health.lateness),
        waits: histogram(&health.waits),
        due: health.due,
        delivered: health.delivered,
        wall: health.wall,
        throttled: health.throttled,
        no_ports: health.no_ports,
        no_descriptors: health.no_descriptors,
        connections: health.connections,
        iterations: health.iterations,
        lag: histogram(&health.lag),
        cores: health.cores,
        held_generator: health.held.generator,
        held_target: health.held.target,
        held_connections: health.held.connections,
        held_limits: health.held.limits,
        carried: health.carried,
        no_data: health.no_data,
    }
}

fn read_health(message: &proto::Health) -> Result<Health, WireError> {
    Ok(Health {
        lateness: read_histogram(message.lateness.as_ref())?,
        waits: read_histogram(message.waits.as_ref())?,
        due: message.due,
        delivered: message.delivered,
        wall: message.wall,
        throttled: message.throttled,
        no_ports: message.no_ports,
        no_descriptors: message.no_descriptors,
        connections: message.connections,
        iterations: message.iterations,
        lag: read_histogram(message.lag.as_ref())?,
        cores: message.cores,
        held: Held {
            generator: message.held_generator,
            target: message.held_target,
            connections: message.held_connections,
            limits: message.held_limits,
        },
        carried: message.carried,
        no_data: message.no_data,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use plimsoll_measure::{Bad, Metric, MetricKind, Objective, Population, Window};

    use super::*;

    fn layout() -> Layout {
        Layout {
            requests: vec!["a".to_owned(), "b".to_owned()],
            windows: vec![Window { name: "main".to_owned(), judged: true, spans: Vec::new() }],
            segments: Vec::new(),
            objectives: vec![Objective {
                population: Population::Requests,
                request: None,
                window: None,
                bad: Bad::Failed { classes: Vec::new() },
            }],
            metrics: vec![
                Metric { name: "ok".to_owned(), kind: MetricKind::Check, request: Some(RequestId(0)) },
                Metric { name: "took".to_owned(), kind: MetricKind::Trend, request: None },
            ],
            hooks: None,
        }
    }

    fn durations(nanos: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        nanos.iter().for_each(|nanos| histogram.record(*nanos));
        histogram
    }

    /// Every field differs from its default and from the others.
    fn full() -> Snapshot {
        let counts = Counts {
            sent: 1,
            not_sent: 2,
            complete: 3,
            incomplete: 4,
            unfinished: 5,
            unsent: 6,
            failed: 7,
            classes: BTreeMap::from([(ErrorClass::Dns, 8), (ErrorClass::Body, 9)]),
            statuses: BTreeMap::from([(200, 10), (503, 11)]),
            received: 12,
            retries: 13,
        };
        let cell = |request| Cell {
            request: RequestId(request),
            window: WindowId(0),
            counts: counts.clone(),
            latency: durations(&[0, 1, u64::MAX]),
            succeeded: durations(&[2]),
            service: durations(&[3, 3_000_000]),
            dns: durations(&[4]),
            connect: durations(&[5]),
            tls: durations(&[6]),
            first_byte: durations(&[7, 700_000, 800_000]),
        };
        let objectives = vec![ObjectiveCount { total: 20, bad: 21 }];
        let second = |second| Second {
            second,
            asked: 30,
            sent: 31,
            failed: 32,
            objectives: objectives.clone(),
            latency: durations(&[33_000]).downscale(3),
            complete: 34,
            incomplete: 35,
        };
        let health = Health {
            lateness: durations(&[40]),
            waits: durations(&[41]),
            due: 42,
            delivered: 43,
            wall: 44,
            throttled: 45,
            no_ports: 46,
            no_descriptors: 47,
            connections: 48,
            iterations: 49,
            lag: durations(&[50]),
            cores: 51,
            held: Held { generator: 52, target: 53, connections: 54, limits: 55 },
            carried: 56,
            no_data: 57,
        };
        let series = vec![second(0), second(1), second(u32::MAX)];
        let metric = |metric| MetricCell {
            metric: MetricId(metric),
            window: WindowId(0),
            count: 60,
            good: 2,
            sum: 61,
            timed_out: 3,
            histogram: durations(&[62, 63_000_000]),
        };
        let failure = |class, status: Option<u16>, example: &str| Failure {
            request: RequestId(1),
            class,
            status,
            count: 70,
            at: 71,
            example: example.to_owned(),
        };
        let failures = vec![
            failure(Some(ErrorClass::Dns), None, &"no such host ".repeat(5)),
            failure(Some(ErrorClass::Status), Some(503), &"503: {\"error\":\"full\"} ".repeat(3)),
            failure(None, None, ""),
        ];
        let (cells, metrics) = (vec![cell(0), cell(1)], vec![metric(0), metric(1)]);
        Snapshot { cells, metrics, failures, objectives, series, health }
    }

    #[test]
    fn a_snapshot_comes_back_as_it_went() {
        for snapshot in [full(), Snapshot::default()] {
            let [message] = &encode(&snapshot, MAX_MESSAGE)[..] else { panic!("one message") };
            let bytes = message.encode_to_vec();
            let message = proto::Snapshot::decode(&bytes[..]).unwrap();
            assert_eq!(decode(&message, &layout()).unwrap(), snapshot);
        }
    }

    #[test]
    fn parts_are_under_the_limit_and_add_up() {
        for limit in [ENVELOPE + 100, ENVELOPE + 400, ENVELOPE + 4_000] {
            let parts = encode(&full(), limit);
            let mut sum = Snapshot::default();
            for part in &parts {
                let pieces = part.cells.len() + part.metrics.len() + part.failures.len() + part.series.len();
                let alone = pieces == 1;
                assert!(alone || part.encoded_len() <= limit - ENVELOPE, "{} of {limit}", part.encoded_len());
                sum.merge(&decode(part, &layout()).unwrap());
            }
            assert_eq!(sum, full(), "limit {limit}");
            assert_eq!(parts.len() == 1, limit == ENVELOPE + 4_000, "{} parts", parts.len());
        }
    }

    #[test]
    fn what_does_not_fit_the_plan_is_refused() {
        let message = |change: fn(&mut proto::Snapshot)| {
            let mut message = encode(&full(), MAX_MESSAGE).remove(0);
            change(&mut message);
            decode(&message, &layout()).unwrap_err().to_string()
        };
        for (got, want) in [
            (message(|m| m.cells[0].request = 2), "snapshot names request 2, but the plan has 2"),
            (message(|m| m.cells[0].window = 70_000), "snapshot names window 70000, but the plan has 1"),
            (
                message(|m| m.series[0].objectives.resize_with(3, Default::default)),
                "3 objectives, but the plan has 1",
            ),
            (
                message(|m| m.cells[0].counts.as_mut().unwrap().classes = vec![1; 9]),
                "9 error classes, but there are 8",
            ),
            (message(|m| m.metrics[0].metric = 2), "snapshot names metric 2, but the plan has 2"),
            (message(|m| m.metrics[1].timed_out = 59), "counts of metric 1 contradict each other"),
            (message(|m| m.metrics[1].good = 1), "counts of metric 1 contradict each other"),
            (message(|m| m.failures[0].class = Some(8)), "snapshot names error class 8, but the plan has 8"),
            (message(|m| m.failures[1].status = Some(1_000)), "snapshot names status 1000"),
            (message(|m| m.cells[1].latency.as_mut().unwrap().shift = 9), "histogram scale"),
            (
                message(|m| m.health.as_mut().unwrap().waits.as_mut().unwrap().buckets.push(1)),
                "histogram buckets",
            ),
        ] {
            assert!(got.contains(want), "{got}");
        }
    }
}
