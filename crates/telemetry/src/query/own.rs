//! `source: Prometheus`: where the counters of an SLO are among the series that `../series` exports of its run. The counters begin at zero
//! when a run is accepted, so that their values are the counts of the run, and no rate has to be guessed.

use plimsoll_measure::Layout;
use plimsoll_slo::{Kind, Slo};

use crate::Identity;
use crate::inventory::{
    Label, Metric, REQUEST, REQUESTS_INCOMPLETE, REQUESTS_SENT, RESPONSES, RUN_NAME, SLO, SLO_EVENTS,
    SLO_GOOD, TEST, TEST_NAMESPACE, WINDOW, WORKER,
};

/// What is asked for one SLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Own {
    /// All that is in scope.
    pub(super) total: String,
    /// Of it what is good; of a throughput what is incomplete.
    pub(super) part: String,
    /// Whether [`Own::part`] is bad rather than good.
    pub(super) part_is_bad: bool,
    /// When the oldest sample of these was scraped, in Unix seconds.
    pub(super) scraped: String,
}

/// How far back the last sample of a run that ended may be: longer than its series are exported after the end.
const BACK: &str = "20m";

/// The queries of an SLO. Series of single workers, and those of a former leader that is gone, are not counted twice. Those of a run in
/// the `past` are not there any more: their last samples are.
pub(super) fn own(slo: &Slo, layout: &Layout, identity: &Identity, past: bool) -> Own {
    let last = |selector: String| if past { format!("last_over_time({selector}[{BACK}])") } else { selector };
    if !matches!(slo.kind, Kind::Throughput { .. }) {
        let labels = [matcher(&SLO, "=", &slo.name)];
        let of = |metric: &Metric| last(selector(metric, identity, &labels));
        let (events, good) = (of(&SLO_EVENTS), of(&SLO_GOOD));
        return Own {
            total: format!("max({events})"),
            part: format!("max({good})"),
            part_is_bad: false,
            scraped: format!("max(timestamp({events}))"),
        };
    }
    let mut labels = vec![windows(slo, layout)];
    let request = slo.request.and_then(|id| layout.requests.get(usize::from(id.0)));
    labels.extend(request.map(|name| matcher(&REQUEST, "=", name)));
    let of = |metric: &Metric| last(selector(metric, identity, &labels));
    let sum = |metric: &Metric, by: &str| format!("sum(max by ({by}) ({}))", of(metric));
    let pair = format!("{}, {}", REQUEST.prometheus, WINDOW.prometheus);
    let complete = sum(&RESPONSES, &format!("{pair}, {}", crate::inventory::STATUS.prometheus));
    let incomplete = sum(&REQUESTS_INCOMPLETE, &pair);
    Own {
        // There is no series of a status before its first response.
        total: format!("({complete} or vector(0)) + {incomplete}"),
        part: incomplete,
        part_is_bad: true,
        scraped: format!("max(timestamp({}))", of(&REQUESTS_SENT)),
    }
}

fn windows(slo: &Slo, layout: &Layout) -> String {
    let chosen = slo.window.map(|id| usize::from(id.0));
    let judged = layout.windows.iter().enumerate().filter(|(at, window)| match chosen {
        Some(chosen) => *at == chosen,
        None => window.judged,
    });
    let names: Vec<String> = judged.map(|(_, window)| pattern(&window.name)).collect();
    matcher(&WINDOW, "=~", &names.join("|"))
}

fn selector(metric: &Metric, identity: &Identity, more: &[String]) -> String {
    let run = [
        matcher(&TEST_NAMESPACE, "=", &identity.namespace),
        matcher(&TEST, "=", &identity.test),
        matcher(&RUN_NAME, "=", &identity.run),
        matcher(&WORKER, "=", ""),
    ];
    let all: Vec<String> = run.into_iter().chain(more.iter().cloned()).collect();
    format!("{}{{{}}}", metric.prometheus, all.join(","))
}

/// `label="value"`, with the escapes of a PromQL string.
fn matcher(label: &Label, operator: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{}{operator}\"{value}\"", label.prometheus)
}

/// A name as a regular expression that matches it alone.
fn pattern(name: &str) -> String {
    let mut pattern = String::new();
    for c in name.chars() {
        if !(c.is_alphanumeric() || matches!(c, '-' | '_')) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use plimsoll_measure::{RequestId, Window, WindowId};
    use plimsoll_slo::{Severity, Stat};

    use super::*;

    fn slo(kind: Kind) -> Slo {
        Slo {
            name: "p95".into(),
            severity: Severity::Error,
            request: None,
            metric: None,
            window: None,
            kind,
            objective: Some(0),
            abort_after: None,
            min_samples: None,
        }
    }

    fn errors() -> Kind {
        Kind::ErrorRate { at_most: 0, classes: Vec::new(), within: None }
    }

    fn layout() -> Layout {
        let window = |name: &str, judged| Window { name: name.into(), judged, spans: Vec::new() };
        Layout {
            requests: vec!["GET \"/a\"".into()],
            windows: vec![window("main", true), window("warmup", false), window("burst", true)],
            ..Layout::default()
        }
    }

    fn identity() -> Identity {
        Identity { namespace: "shop".into(), test: "web".into(), run: "web-1".into(), worker: None }
    }

    #[test]
    fn counters_of_an_slo_are_asked_by_its_name() {
        let kind = Kind::Latency { stat: Stat::Percentile(9_500), at_most: 1, succeeded_only: false };
        let asked = own(&slo(kind), &layout(), &identity(), false);
        let labels = "{test_namespace=\"shop\",test=\"web\",run=\"web-1\",worker=\"\",slo=\"p95\"}";
        assert_eq!(asked.total, format!("max(plimsoll_slo_events_total{labels})"));
        assert_eq!(asked.part, format!("max(plimsoll_slo_good_total{labels})"));
        assert_eq!(asked.scraped, format!("max(timestamp(plimsoll_slo_events_total{labels}))"));
        assert!(!asked.part_is_bad);
        let past = own(&slo(errors()), &layout(), &identity(), true);
        assert_eq!(past.total, format!("max(last_over_time(plimsoll_slo_events_total{labels}[20m]))"));
    }

    #[test]
    fn a_throughput_is_asked_by_requests_in_the_judged_windows() {
        let kind = Kind::Throughput { at_least: Some(1), at_most: None };
        let asked = own(&slo(kind.clone()), &layout(), &identity(), false);
        assert!(asked.total.contains("window=~\"main|burst\"") && asked.part_is_bad, "{}", asked.total);
        let one = Slo { request: Some(RequestId(0)), window: Some(WindowId(2)), ..slo(kind) };
        let asked = own(&one, &layout(), &identity(), false);
        assert!(asked.part.contains(r#"window=~"burst",request="GET \"/a\"""#), "{}", asked.part);
    }

    #[test]
    fn names_match_themselves_alone() {
        assert_eq!(pattern("burst-2"), "burst-2");
        assert_eq!(pattern("a.b"), "a\\.b");
    }
}
