//! Reads what Prometheus answers and makes one number of it. Pure; the bytes come from `client.rs`.

use plimsoll_slo::Aggregate;
use serde::Deserialize;
use serde_json::Value;

/// Series of which an excerpt shows the values.
const SHOWN: usize = 3;

/// An answer of `/api/v1/query` or `/api/v1/query_range`.
#[derive(Debug, Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    result_type: String,
    result: Value,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) content: Content,
    pub(super) warnings: Vec<String>,
}

/// What an answer holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// Series with their points, as the server writes them; a scalar is one series of one point.
    Series(Vec<Vec<String>>),
    /// Something that is no number.
    Other(&'static str),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    Number(f64),
    /// No series, or none with a point.
    Empty,
    /// Why it is not one number.
    Unfit(String),
}

/// The error that a server wrote, if it is one in Prometheus' form.
pub(super) fn error_in(body: &[u8]) -> Option<String> {
    let Envelope { error, error_type, .. } = serde_json::from_slice(body).ok()?;
    match (error_type, error) {
        (Some(kind), Some(error)) => Some(format!("{kind}: {error}")),
        (_, error) => error,
    }
}

/// Reads a body; what is wrong with it.
pub(super) fn read(body: &[u8]) -> Result<Answer, String> {
    let Envelope { status, data, error, warnings, .. } =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let Some(Data { result_type, result }) = data.filter(|_| status == "success") else {
        return Err(error.unwrap_or_else(|| format!("status is {status:?}")));
    };
    let content = match (result_type.as_str(), result) {
        ("scalar", point) => Content::Series(vec![vec![value(&point)?]]),
        ("string", _) => Content::Other("a string"),
        ("vector" | "matrix", Value::Array(series)) => match series.iter().any(has_histograms) {
            true => Content::Other("a histogram"),
            false => Content::Series(series.iter().map(points).collect::<Result<_, _>>()?),
        },
        (other, _) => return Err(format!("resultType is {other:?}")),
    };
    Ok(Answer { content, warnings })
}

fn has_histograms(series: &Value) -> bool {
    series.get("histogram").is_some() || series.get("histograms").is_some()
}

/// Points of a series of a vector or matrix.
fn points(series: &Value) -> Result<Vec<String>, String> {
    if let Some(point) = series.get("value") {
        return Ok(vec![value(point)?]);
    }
    let points = series.get("values").and_then(Value::as_array).ok_or("a series has no values")?;
    points.iter().map(value).collect()
}

/// The second of `[1732462800.25, "0.5"]`.
fn value(point: &Value) -> Result<String, String> {
    let text = point.get(1).and_then(Value::as_str).ok_or("a point is not a pair of time and text")?;
    Ok(text.to_owned())
}

impl Answer {
    /// Series that were answered.
    pub(super) fn series(&self) -> Option<u64> {
        match &self.content {
            Content::Series(series) => Some(series.len() as u64),
            Content::Other(_) => None,
        }
    }

    /// One number, by an aggregate of its points if there are several.
    pub(super) fn number(&self, aggregate: Option<Aggregate>) -> Reading {
        let series = match &self.content {
            Content::Other(what) => {
                return Reading::Unfit(format!("the query gives {what}, which is no number"));
            }
            Content::Series(series) => series,
        };
        let points = match series.as_slice() {
            [] => return Reading::Empty,
            [points] if points.is_empty() => return Reading::Empty,
            [points] => points,
            several => {
                let n = several.len();
                return Reading::Unfit(format!(
                    "the query gives {n} series, not one: aggregate them, as by max() or sum()"
                ));
            }
        };
        let mut numbers = Vec::with_capacity(points.len());
        for point in points {
            match point.parse::<f64>() {
                // A moment without a number, as of a quotient without requests, is like one without a sample.
                Ok(number) if number.is_nan() => {}
                Ok(number) => numbers.push(number),
                Err(_) => return Reading::Unfit(format!("{point:?} is no number")),
            }
        }
        if numbers.is_empty() {
            let all = if points.len() == 1 { "the query gives" } else { "all points are" };
            return Reading::Unfit(format!("{all} NaN"));
        }
        Reading::Number(aggregated(&numbers, aggregate))
    }

    /// The answer in short, for people: a number as it was written.
    pub(super) fn raw(&self, aggregate: Option<Aggregate>) -> Option<String> {
        let Content::Series(series) = &self.content else { return None };
        match series.as_slice() {
            [] => None,
            [points] => match (points.as_slice(), aggregate) {
                ([], _) => None,
                ([one], None) => Some(one.clone()),
                (points, _) => {
                    let nan = points.iter().filter(|point| point.parse().is_ok_and(f64::is_nan)).count();
                    let nan = if nan > 0 { format!(", {nan} of them NaN") } else { String::new() };
                    let found = match self.number(aggregate) {
                        Reading::Number(number) => format!("{number} of "),
                        _ => String::new(),
                    };
                    let s = if points.len() == 1 { "" } else { "s" };
                    Some(format!("{found}{} point{s}{nan}", points.len()))
                }
            },
            several => {
                let last = several.iter().filter_map(|points| points.last());
                let shown = last.take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
                Some(if several.len() > SHOWN { format!("{shown}, …") } else { shown })
            }
        }
    }
}

fn aggregated(numbers: &[f64], aggregate: Option<Aggregate>) -> f64 {
    let folded = |fold: fn(f64, f64) -> f64| numbers.iter().copied().reduce(fold).unwrap_or(f64::NAN);
    match aggregate {
        Some(Aggregate::Max) => folded(f64::max),
        Some(Aggregate::Min) => folded(f64::min),
        Some(Aggregate::Mean) => folded(|sum, number| sum + number) / numbers.len() as f64,
        None => numbers.last().copied().unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: &str, result: &str) -> Answer {
        let body = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        read(body.as_bytes()).unwrap()
    }

    fn unfit(answer: &Answer) -> String {
        match answer.number(None) {
            Reading::Unfit(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_number_is_a_scalar_or_a_vector_of_one() {
        for one in [
            answer("scalar", r#"[1.5,"0.8"]"#),
            answer("vector", r#"[{"metric":{"a":"b"},"value":[1.5,"0.8"]}]"#),
        ] {
            assert_eq!(one.number(None), Reading::Number(0.8));
            assert_eq!((one.raw(None).as_deref(), one.series()), (Some("0.8"), Some(1)));
        }
        let infinite = answer("scalar", r#"[1,"+Inf"]"#);
        assert_eq!(infinite.number(None), Reading::Number(f64::INFINITY));
    }

    #[test]
    fn what_is_not_one_number_is_told() {
        assert_eq!(answer("vector", "[]").number(None), Reading::Empty);
        assert_eq!(answer("matrix", r#"[{"metric":{},"values":[]}]"#).number(None), Reading::Empty);
        let nan = answer("scalar", r#"[1,"NaN"]"#);
        assert_eq!((unfit(&nan).as_str(), nan.raw(None).as_deref()), ("the query gives NaN", Some("NaN")));
        let point = |value: u8| format!(r#"{{"metric":{{}},"value":[1,"{value}"]}}"#);
        let several = answer("vector", &format!("[{},{},{},{}]", point(1), point(2), point(3), point(4)));
        assert!(unfit(&several).contains("4 series"), "{}", unfit(&several));
        assert_eq!((several.raw(None).as_deref(), several.series()), (Some("1, 2, 3, …"), Some(4)));
        assert!(unfit(&answer("string", r#"[1,"x"]"#)).contains("a string"));
        let native = answer("vector", r#"[{"metric":{},"histogram":[1,{"count":"5"}]}]"#);
        assert!(unfit(&native).contains("a histogram"));
    }

    #[test]
    fn points_become_one_number() {
        let range = answer("matrix", r#"[{"metric":{},"values":[[1,"1"],[2,"NaN"],[3,"4"]]}]"#);
        assert_eq!(range.number(Some(Aggregate::Max)), Reading::Number(4.0));
        assert_eq!(range.number(Some(Aggregate::Min)), Reading::Number(1.0));
        assert_eq!(range.number(Some(Aggregate::Mean)), Reading::Number(2.5));
        assert_eq!(range.raw(Some(Aggregate::Mean)).as_deref(), Some("2.5 of 3 points, 1 of them NaN"));
        let nan = answer("matrix", r#"[{"metric":{},"values":[[1,"NaN"],[2,"NaN"]]}]"#);
        assert_eq!(nan.number(Some(Aggregate::Max)), Reading::Unfit("all points are NaN".into()));
    }

    #[test]
    fn errors_and_nonsense() {
        let refused = br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(error_in(refused).as_deref(), Some("bad_data: parse error"));
        assert_eq!(error_in(b"<html>"), None);
        assert!(read(refused).is_err() && read(b"[]").is_err() && read(b"{}").is_err());
        let odd = br#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}"#;
        assert!(read(odd).unwrap_err().contains("pair"));
        let warned = br#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["a store is down"]}"#;
        assert_eq!(read(warned).unwrap().warnings, ["a store is down"]);
    }
}
