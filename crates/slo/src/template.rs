//! The placeholders of a PromQL query: `${run.namespace}`, `${run.window}` and their like. Checked when a manifest is read
//! (`crates/api/src/lower/conditions.rs`), filled in each time the query is asked (`crates/telemetry/src/query`).

use std::borrow::Cow;
use std::fmt::Write as _;

/// The placeholders that there are.
pub const PLACEHOLDERS: [&str; 6] =
    ["run.name", "run.namespace", "run.test", "run.window", "run.start", "run.end"];

/// What placeholders stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Namespace of the run.
    pub namespace: String,
    /// Name of the LoadTest.
    pub test: String,
    /// Name of the run.
    pub name: String,
    /// Beginning of the judged part, Unix milliseconds.
    pub start: u64,
    /// End of the judged part, or the present while it goes on; Unix milliseconds.
    pub end: u64,
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No placeholder is called so.
    #[error("there is no placeholder ${{{0}}}")]
    Unknown(String),
    /// `${` without its end.
    #[error(
        "a placeholder begins with ${{ and is not closed by }}; write $${{ for these two characters themselves"
    )]
    Open,
}

/// Fills the placeholders in. `$${` stands for `${` itself; every other `$` is left alone.
///
/// `run.window` is the length of the judged part as a duration of PromQL (`300s`), `run.start` and `run.end` are Unix seconds.
///
/// # Errors
/// See [`TemplateError`].
pub fn fill(template: &str, values: &Values) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = &from[2..];
            continue;
        }
        filled.push_str(before);
        let (name, after) = from[2..].split_once('}').ok_or(TemplateError::Open)?;
        filled.push_str(&value(name.trim(), values)?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn value<'a>(name: &str, values: &'a Values) -> Result<Cow<'a, str>, TemplateError> {
    Ok(match name {
        "run.name" => Cow::Borrowed(&values.name),
        "run.namespace" => Cow::Borrowed(&values.namespace),
        "run.test" => Cow::Borrowed(&values.test),
        // A range of nothing is no PromQL.
        "run.window" => promql_duration(values.end.saturating_sub(values.start).max(1)).into(),
        "run.start" => seconds(values.start).into(),
        "run.end" => seconds(values.end).into(),
        _ => return Err(TemplateError::Unknown(name.to_owned())),
    })
}

/// Milliseconds as a duration of PromQL: `300s`, `1500ms`.
#[must_use]
pub fn promql_duration(millis: u64) -> String {
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}

/// Unix milliseconds as Unix seconds, the form in which Prometheus takes instants: `1732462800.25`.
#[must_use]
pub fn seconds(millis: u64) -> String {
    let mut text = (millis / 1000).to_string();
    if !millis.is_multiple_of(1000) {
        let _ = write!(text, ".{:03}", millis % 1000);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values {
            namespace: "shop".into(),
            test: "checkout".into(),
            name: "checkout-1a2b".into(),
            start: 1_732_462_800_250,
            end: 1_732_463_100_250,
        }
    }

    #[test]
    fn placeholders_are_filled_in() {
        let filled = fill(
            "sum(increase(x{ns=\"${run.namespace}\", t=\"${ run.test }\", r=\"${run.name}\"}[${run.window}] @ ${run.end})) - ${run.start}",
            &values(),
        );
        let expected = "sum(increase(x{ns=\"shop\", t=\"checkout\", r=\"checkout-1a2b\"}[300s] @ 1732463100.250)) - 1732462800.250";
        assert_eq!(filled.as_deref(), Ok(expected));
    }

    #[test]
    fn what_is_no_placeholder_is_left_alone_or_refused() {
        assert_eq!(fill("up{a=~\"x$\"} > $1", &values()).as_deref(), Ok("up{a=~\"x$\"} > $1"));
        assert_eq!(fill("a $${run.name} b", &values()).as_deref(), Ok("a ${run.name} b"));
        assert_eq!(fill("x[${run.windw}]", &values()), Err(TemplateError::Unknown("run.windw".into())));
        assert_eq!(fill("x[${run.window]", &values()), Err(TemplateError::Open));
        for name in PLACEHOLDERS {
            assert!(fill(&format!("${{{name}}}"), &values()).is_ok(), "{name}");
        }
    }

    #[test]
    fn durations_and_instants_are_those_of_promql() {
        assert_eq!(promql_duration(19_500), "19500ms");
        assert_eq!(promql_duration(20_000), "20s");
        assert_eq!(seconds(5), "0.005");
        let nothing = Values { end: 0, ..values() };
        assert_eq!(fill("x[${run.window}]", &nothing).as_deref(), Ok("x[1ms]"));
    }
}
