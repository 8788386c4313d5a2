//! The lines below the tables of the report: failures, where the time went, the whole run, the generator.

use plimsoll_measure::{Cell, Histogram};
use plimsoll_slo::{class_name, lag, text};

use super::super::StoredResult;
use super::super::figures::Source;
use super::wrapped;

/// Width of the labels.
const LABEL: usize = 11;
/// Most causes of failures that are listed.
const CAUSES: usize = 5;
/// Most remedies that are listed.
const REMEDIES: usize = 3;
/// Most statuses that are listed.
const STATUSES: usize = 12;

/// All lines that have something to say.
pub(super) fn lines(result: &StoredResult, source: Source) -> String {
    let lines = [
        ("Failures", failures(source)),
        ("Causes", causes(source)),
        ("Remedies", remedies(source)),
        ("Statuses", statuses(source)),
        ("Medians", medians(source)),
        ("Whole run", total(result, source)),
        ("Generator", generator(result)),
    ];
    let indent = " ".repeat(LABEL);
    lines
        .into_iter()
        .filter_map(|(label, text)| Some(wrapped(&format!("{label:<LABEL$}{}", text?), &indent)))
        .collect()
}

/// `12 Timeout, 3 Status`, of the judged part.
fn failures(source: Source) -> Option<String> {
    let counts = source.merged.counts(source.layout, None, None);
    let mut classes: Vec<_> = counts.classes.into_iter().filter(|(_, n)| *n > 0).collect();
    classes.sort_by_key(|(class, n)| (std::cmp::Reverse(*n), *class));
    let shown = classes.iter().map(|(class, n)| format!("{} {}", text::count(*n), class_name(*class)));
    (!classes.is_empty()).then(|| shown.collect::<Vec<_>>().join(", "))
}

/// The most frequent causes of the whole run, each with its first example.
fn causes(source: Source) -> Option<String> {
    let groups = super::super::failures(source.layout, source.merged);
    let shown = groups.iter().take(CAUSES).map(|group| {
        let example = if group.example.is_empty() { String::new() } else { format!(" ({})", group.example) };
        format!("{} x {}{example}", text::count(group.count), group.cause)
    });
    let more = groups.len().saturating_sub(CAUSES);
    let shown: Vec<String> = shown.chain((more > 0).then(|| format!("{more} other causes"))).collect();
    (!groups.is_empty()).then(|| shown.join("; "))
}

/// What usually helps against the most frequent causes.
fn remedies(source: Source) -> Option<String> {
    let mut remedies: Vec<&str> = Vec::new();
    for remedy in super::super::failures(source.layout, source.merged).iter().filter_map(|group| group.remedy)
    {
        if !remedies.contains(&remedy) && remedies.len() < REMEDIES {
            remedies.push(remedy);
        }
    }
    (!remedies.is_empty()).then(|| remedies.join("; "))
}

/// `200: 18 000, 503: 40`, of the judged part.
fn statuses(source: Source) -> Option<String> {
    let counts = source.merged.counts(source.layout, None, None);
    let mut statuses: Vec<(u16, u64)> = counts.statuses.into_iter().filter(|(_, n)| *n > 0).collect();
    statuses.sort_by_key(|(status, n)| (std::cmp::Reverse(*n), *status));
    let more = statuses.len().saturating_sub(STATUSES);
    let shown = statuses.iter().take(STATUSES).map(|(status, n)| format!("{status}: {}", text::count(*n)));
    let shown = shown.chain((more > 0).then(|| format!("{more} others")));
    (!statuses.is_empty()).then(|| shown.collect::<Vec<_>>().join(", "))
}

/// Where the time goes: `connect 0.3ms, TLS 2.1ms, first byte 20ms, service 21ms`, of the judged part.
fn medians(source: Source) -> Option<String> {
    let of = |part: fn(&Cell) -> &Histogram| source.merged.histogram(source.layout, None, None, part);
    let parts = [
        ("DNS", of(|cell| &cell.dns)),
        ("connect", of(|cell| &cell.connect)),
        ("TLS", of(|cell| &cell.tls)),
        ("first byte", of(|cell| &cell.first_byte)),
        ("service time", of(|cell| &cell.service)),
    ];
    let shown = parts.into_iter().filter_map(|(name, times)| {
        Some(format!("{name} {}", text::duration(times.percentile(5_000, 0).finite()?)))
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    (!shown.is_empty()).then_some(shown)
}

/// Counts of the whole run, and how exact they are.
fn total(result: &StoredResult, source: Source) -> Option<String> {
    let total = result.status.summary.as_ref()?.total.as_ref()?;
    let at_least = total.sent_at_least.map(|n| format!("at least {}", text::count(n)));
    let at_most = total.sent_at_most.map(|n| format!("at most {}", text::count(n)));
    let bounds = at_least.into_iter().chain(at_most).collect::<Vec<_>>().join(", ");
    let certain = if total.exact { "exact".to_owned() } else { bounds };
    let some = |n: u64, what: &str| (n > 0).then(|| format!("{} {what}", text::count(n)));
    let parts = [
        Some(text::counted(total.requests, "request")),
        Some(format!("{} sent ({certain})", text::count(total.sent))),
        some(total.not_sent, "not sent"),
        some(total.unfinished, "unfinished"),
        some(total.failures, "failed"),
        some(source.merged.total().retries, "retries"),
        Some(format!("{} received", bytes(source.merged.total().received))),
    ];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// Whether the generator itself was up to it.
fn generator(result: &StoredResult) -> Option<String> {
    let (status, health) = (&result.status, &result.snapshot.health);
    let load = status.load.clone().unwrap_or_default();
    let workers = status.workers.unwrap_or_default();
    let lost = (workers.lost > 0).then(|| format!("{} lost", workers.lost));
    let allowed = result.validity.as_ref().map(|v| text::duration_exact(v.max_lateness)).unwrap_or_default();
    let lateness = load.lateness.map(|late| format!("lateness {late} at p99, allowed {allowed}"));
    let queue = lag(health).zip(health.lag.max()).map(|(p99, most)| {
        format!("own queue {} at p99, {} at most", text::duration(p99), text::duration(most))
    });
    let throttled = match (health.throttled, health.wall) {
        (_, 0) => None,
        (0, _) => Some("never throttled".to_owned()),
        (throttled, wall) => Some(format!("throttled {} of the time", text::share(throttled, wall))),
    };
    let parts = [
        Some(text::counted(workers.desired.into(), "worker")),
        lost,
        load.delivered.map(|share| format!("{share} of the arrivals delivered")),
        lateness,
        queue,
        throttled,
        status.start_skew.as_ref().map(|skew| format!("start skew {skew}")),
        Some(text::counted(health.connections, "connection")),
    ];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// `1.2 MB`.
fn bytes(n: u64) -> String {
    let units = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match units.into_iter().find(|(size, _)| n >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", n as f64 / size as f64),
        None => format!("{n} B"),
    }
}
