//! The queries of the committed dashboards and rules, and what stands in for Grafana's variables when a test asks them. Asked by
//! `ask.rs`, checked by `check.rs`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::ask::Api;
use super::committed;

/// Variables that Grafana itself fills.
const BUILT_IN: [&str; 5] = ["__all", "__rate_interval", "__range", "__interval", "__url_time_range"];

/// A query and where it is.
#[derive(Clone, Debug)]
pub struct Query {
    /// File and panel, or file and rule.
    pub place: String,
    /// As it is written.
    pub text: String,
    /// One moment in place of a range.
    pub instant: bool,
    /// Whether its panel says why it may be empty.
    pub may_be_empty: bool,
}

/// Queries of all panels, annotations and variables of a dashboard; those of variables are in `query_result(…)` or `label_values(…)`.
///
/// # Errors
/// If a dashboard cannot be read.
pub fn of_dashboards() -> Result<Vec<Query>> {
    let mut found = Vec::new();
    for (name, dashboard) in committed()? {
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap_or_default();
            let may_be_empty = panel["description"].as_str().is_some_and(|text| text.contains("Empty "));
            found.extend(list(panel, "targets").iter().map(|target| Query {
                place: format!("{name}, {title}, {}", target["refId"].as_str().unwrap_or_default()),
                text: text(&target["expr"]),
                instant: target["instant"] == true,
                may_be_empty,
            }));
        }
        found.extend(list(&dashboard["annotations"], "list").iter().map(|mark| Query {
            place: format!("{name}, annotation {}", mark["name"]),
            text: text(&mark["expr"]),
            instant: false,
            may_be_empty: false,
        }));
        for variable in list(&dashboard["templating"], "list") {
            let query = text(&variable["query"]["query"]);
            found.extend(inner(&query).map(|query| Query {
                place: format!("{name}, variable {}", variable["name"]),
                text: query.to_owned(),
                instant: true,
                may_be_empty: false,
            }));
        }
    }
    Ok(found)
}

/// What Prometheus is asked for the values of a variable.
fn inner(query: &str) -> Option<&str> {
    let (function, rest) = query.split_once('(')?;
    let arguments = rest.strip_suffix(')')?;
    match function {
        "query_result" => Some(arguments),
        "label_values" => arguments.rsplit_once(", ").map(|(series, _)| series),
        _ => None,
    }
}

/// Queries of the rules that a Prometheus has loaded, and the alerts among them with their annotations.
///
/// # Errors
/// If it cannot be asked.
pub fn of_rules(api: Api<'_>) -> Result<(Vec<Query>, Vec<Value>)> {
    let groups = api("/api/v1/rules")?;
    let (mut queries, mut alerts) = (Vec::new(), Vec::new());
    for group in list(&groups, "groups") {
        for rule in list(group, "rules") {
            queries.push(Query {
                place: format!("{}, {}", text(&group["name"]), text(&rule["name"])),
                text: text(&rule["query"]),
                instant: true,
                // An alert is empty while all is well.
                may_be_empty: rule["type"] == "alerting",
            });
            if rule["type"] == "alerting" {
                alerts.push(rule.clone());
            }
        }
    }
    Ok((queries, alerts))
}

/// Panels, those of rows that are closed included; not the rows.
pub fn panels(dashboard: &Value) -> Vec<&Value> {
    let all =
        list(dashboard, "panels").iter().flat_map(|panel| [panel].into_iter().chain(list(panel, "panels")));
    all.filter(|panel| panel["type"] != "row").collect()
}

/// A list in JSON; one that is not there is empty.
pub(super) fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The names of the variables in a text: `$name` and `${name}`.
pub fn variables(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = text.split('$').skip(1).map(|rest| {
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        rest.chars().take_while(|c| is_part(*c)).collect::<String>()
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// Whether Grafana knows a variable that the dashboard does not define.
pub fn is_built_in(variable: &str) -> bool {
    BUILT_IN.contains(&variable) || variable.starts_with("__data")
}

/// A query with its variables filled in.
///
/// # Errors
/// If one has no value.
pub fn fill(query: &str, values: &BTreeMap<String, String>) -> Result<String> {
    let mut filled = query.to_owned();
    let mut names = variables(query);
    // `$run` begins as `$run_of` does.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    for name in names {
        let value = values.get(&name).with_context(|| format!("no value for ${name} in `{query}`"))?;
        filled = filled.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    if filled.contains('$') {
        bail!("`{filled}` still has a variable");
    }
    Ok(filled)
}

/// Values that make every query of a dashboard one that parses.
pub fn any_values() -> BTreeMap<String, String> {
    let values = [
        ("__rate_interval", "1m"),
        ("__range", "1h"),
        ("__interval", "1m"),
        ("past", "7d"),
        ("shift", "-600"),
        ("namespace", ".*"),
        ("test", ".*"),
        ("run", "a"),
        ("baseline", "b"),
        ("window", ".*"),
        ("target_namespace", ".*"),
        ("target_pod", ".*"),
        ("operator_pod", ".*"),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_filled() {
        assert_eq!(
            variables(r#"x{a=~"$run|${base}"}[$__range] offset ${shift}s"#),
            ["run", "base", "__range", "shift"]
        );
        let mut values = any_values();
        values.insert("run_of".to_owned(), "z".to_owned());
        assert_eq!(fill("$run_of $run ${run}", &values).unwrap(), "z a a");
        assert!(fill("$unknown", &values).is_err());
    }

    #[test]
    fn queries_of_variables_are_those_that_prometheus_is_asked() {
        assert_eq!(inner(r#"label_values(x{a="b", c="d"}, run)"#), Some(r#"x{a="b", c="d"}"#));
        assert_eq!(inner("query_result(round(max(a) - max(b)))"), Some("round(max(a) - max(b))"));
        assert_eq!(inner("prometheus"), None);
    }
}
