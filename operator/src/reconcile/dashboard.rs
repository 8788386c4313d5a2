//! Where Grafana shows a run: `results.dashboard` of its status. The dashboard is `dashboards/plimsoll-run.json`, made by
//! `xtask/src/dashboards/run.rs`, whose identifier and variables are named here.

use k8s_openapi::jiff::Timestamp;

use super::observe::Observed;

/// What is shown beside the run itself, before and behind it, milliseconds.
const MARGIN: i64 = 60_000;

/// The address of a run's dashboard, from its creation until now, or until its end once it is over.
pub(super) fn address(grafana: &str, observed: &Observed, over: bool) -> String {
    let created = observed.run.metadata.creation_timestamp.as_ref().map_or(observed.now.stamp, |time| time.0);
    let end = over.then_some(observed.now.stamp);
    let (namespace, name) = (&observed.key.namespace, &observed.key.name);
    compose(grafana, [namespace, &observed.run.spec.test_ref.name, name], created, end)
}

/// Names of Kubernetes need no escapes in a query.
fn compose(
    grafana: &str,
    [namespace, test, run]: [&str; 3],
    from: Timestamp,
    to: Option<Timestamp>,
) -> String {
    let grafana = grafana.trim_end_matches('/');
    let from = from.as_millisecond().saturating_sub(MARGIN);
    let to = to.map_or_else(|| "now".to_owned(), |to| to.as_millisecond().saturating_add(MARGIN).to_string());
    format!(
        "{grafana}/d/plimsoll-run/?var-namespace={namespace}&var-test={test}&var-run={run}&from={from}&to={to}"
    )
}

/// Reads the address of Grafana.
///
/// # Errors
/// If it is not one, in words for the command line.
pub(crate) fn grafana(text: &str) -> Result<String, String> {
    let known =
        ["http://", "https://"].iter().any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    if !known || text.len() > 500 || text.contains(['?', '#', ' ']) {
        return Err("expected the address of Grafana, such as https://grafana.example.com".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_shown_with_a_minute_around_it() {
        let (from, to) = (Timestamp::from_second(1_000).unwrap(), Timestamp::from_second(2_000).unwrap());
        let going = compose("https://g.example/", ["shop", "web", "web-1"], from, None);
        assert_eq!(
            going,
            "https://g.example/d/plimsoll-run/?var-namespace=shop&var-test=web&var-run=web-1&from=940000&to=now"
        );
        let over = compose("http://g.example/sub", ["shop", "web", "web-1"], from, Some(to));
        assert!(
            over.starts_with("http://g.example/sub/d/plimsoll-run/?")
                && over.ends_with("&from=940000&to=2060000"),
            "{over}"
        );
    }

    #[test]
    fn only_addresses_are_taken() {
        assert_eq!(grafana("https://g.example/sub").as_deref(), Ok("https://g.example/sub"));
        for bad in ["", "grafana", "https://", "ftp://g", "https://g?x=1", "https://g /"] {
            assert!(grafana(bad).is_err(), "{bad}");
        }
    }
}
