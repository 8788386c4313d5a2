//! Asks a Prometheus what Grafana would: each query over the time that is shown, with the variables filled in. Answers become pictures
//! by `picture.rs`.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::queries::{Query, fill, list};
use crate::process;

/// What answers a path of Prometheus' HTTP API with what is behind `data`: [`crate::prometheus::Prometheus::api`], or [`remote`].
pub type Api<'a> = &'a dyn Fn(&str) -> Result<Value>;

/// The time that is shown, seconds since 1970, and how far points are apart.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Between two points, seconds.
    pub step: f64,
}

/// One series of an answer.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Moment and value; what is no number is left out, infinity is not.
    pub points: Vec<(f64, f64)>,
}

/// Asks a query.
///
/// # Errors
/// If Prometheus does not answer, or does not understand it.
pub fn ask(
    api: Api<'_>,
    query: &Query,
    values: &BTreeMap<String, String>,
    span: Span,
) -> Result<Vec<Series>> {
    let filled = escape(&fill(&query.text, values)?);
    let path = if query.instant {
        format!("/api/v1/query?query={filled}&time={}", span.to)
    } else {
        format!("/api/v1/query_range?query={filled}&start={}&end={}&step={}", span.from, span.to, span.step)
    };
    let data = api(&path).with_context(|| format!("{}: {}", query.place, query.text))?;
    if data["resultType"] == "scalar" {
        let points = point(&data["result"]).into_iter().collect();
        return Ok(vec![Series { labels: BTreeMap::new(), points }]);
    }
    let series = list(&data, "result").iter().map(|series| {
        let labels = series["metric"].as_object().into_iter().flatten();
        let labels =
            labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
        // Of a native histogram itself only that it is there counts.
        let histograms = list(series, "histograms").iter().chain([&series["histogram"]]);
        let histograms = histograms.filter_map(|histogram| Some((histogram[0].as_f64()?, 1.0)));
        let points = list(series, "values").iter().chain([&series["value"]]).filter_map(point);
        Series { labels: labels.collect(), points: points.chain(histograms).collect() }
    });
    Ok(series.collect())
}

/// Asks the HTTP API of a Prometheus anywhere.
///
/// # Errors
/// If it does not answer, or refuses.
pub fn remote(address: &str, path: &str) -> Result<Value> {
    let url = format!("{}{path}", address.trim_end_matches('/'));
    let text = process::output(Command::new("/bin/busybox").args(["wget", "-q", "-O", "-", &url]))?;
    let mut answer: Value = serde_json::from_str(&text).with_context(|| format!("read {text}"))?;
    Ok(answer["data"].take())
}

/// Moment and value, unless it is no number.
fn point(pair: &Value) -> Option<(f64, f64)> {
    let value: f64 = pair[1].as_str()?.parse().ok()?;
    (!value.is_nan()).then_some((pair[0].as_f64()?, value))
}

/// A text as it stands in a URL's query.
pub(super) fn escape(text: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_points_read() {
        assert_eq!(escape("a{b=\"ü\"}"), "a%7Bb%3D%22%C3%BC%22%7D");
        assert_eq!(point(&serde_json::json!([1.5, "+Inf"])), Some((1.5, f64::INFINITY)));
        assert_eq!(point(&serde_json::json!([1.5, "NaN"])), None);
    }
}
