//! What SLOs compare: statistics, latency bounds, statuses.

use std::fmt;
use std::str::FromStr;

use plimsoll_slo::Stat;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{GoDuration, ParseError, Share, fixed, text_quantity, unfixed};

/// Pattern of a statistic in the CRDs.
pub(crate) const STATISTIC: &str = r"^(p[0-9]{1,2}(\.[0-9]{1,2})?|mean|max)$";
/// Pattern of a latency bound in the CRDs.
pub(crate) const BOUND: &str = r"^(([0-9]{1,5}(h|m|s|ms|us)){1,4}|[0-9]{1,4}(\.[0-9]{1,7})?%)$";
/// Pattern of a status in the CRDs, where it is not a number.
pub(crate) const STATUS: &str = "^([1-5]xx|[1-5][0-9]{2}-[1-5][0-9]{2})$";

/// A statistic of latencies by its name: `p95`, `p99.9`, `mean`, `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic(pub Stat);

impl FromStr for Statistic {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError {
            found: text.to_owned(),
            wanted: "a statistic: p0.01 to p99.99 (such as p95 or p99.9), mean or max",
        };
        match text {
            "mean" => Ok(Self(Stat::Mean)),
            "max" => Ok(Self(Stat::Max)),
            _ => {
                let number = text.strip_prefix('p').ok_or_else(wrong)?;
                let hundredths = fixed(number, 2).ok_or_else(wrong)?;
                match u32::try_from(hundredths) {
                    Ok(value @ 1..=9999) if number.split('.').next().is_some_and(|w| w.len() <= 2) => {
                        Ok(Self(Stat::Percentile(value)))
                    }
                    _ => Err(wrong()),
                }
            }
        }
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Stat::Percentile(hundredths) => write!(f, "p{}", unfixed(u64::from(hundredths), 2)),
            Stat::Mean => f.write_str("mean"),
            Stat::Max => f.write_str("max"),
        }
    }
}

text_quantity!(Statistic, STATISTIC, 8);

/// A bound on a latency: a duration, or a share of the latency that `relativeTo` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatencyBound {
    /// At most that long.
    Absolute(GoDuration),
    /// At most that share.
    Relative(Share),
}

impl FromStr for LatencyBound {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.ends_with('%') { text.parse().map(Self::Relative) } else { text.parse().map(Self::Absolute) }
    }
}

impl fmt::Display for LatencyBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(duration) => duration.fmt(f),
            Self::Relative(share) => share.fmt(f),
        }
    }
}

text_quantity!(LatencyBound, BOUND, 32);

/// HTTP statuses: `200`, `"2xx"` or `"200-299"`; inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusMatch {
    /// Lowest.
    pub from: u16,
    /// Highest.
    pub to: u16,
}

impl FromStr for StatusMatch {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError {
            found: text.to_owned(),
            wanted: r#"a status: 100 to 599, a class such as "2xx" or a range such as "200-299""#,
        };
        let status =
            |s: &str| s.parse().ok().filter(|n| s.len() == 3 && (100..600).contains(n)).ok_or_else(wrong);
        if let Some(class) = text.strip_suffix("xx") {
            let class: u16 = class.parse().ok().filter(|c| (1..6).contains(c)).ok_or_else(wrong)?;
            return Ok(Self { from: class * 100, to: class * 100 + 99 });
        }
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let (from, to) = (status(from)?, status(to)?);
        if from > to { Err(wrong()) } else { Ok(Self { from, to }) }
    }
}

impl fmt::Display for StatusMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { self.from.fmt(f) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}

impl Serialize for StatusMatch {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.from == self.to { to.serialize_u16(self.from) } else { to.collect_str(self) }
    }
}

impl<'de> Deserialize<'de> for StatusMatch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a status is a number from 100 to 599, a class or a range")]
        enum Raw {
            Number(u16),
            Text(String),
        }
        let text = match Raw::deserialize(from)? {
            Raw::Number(number) => number.to_string(),
            Raw::Text(text) => text,
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for StatusMatch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "StatusMatch".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": STATUS,
            "minimum": 100,
            "maximum": 599,
            "maxLength": 7
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics() {
        for (text, stat) in [
            ("p95", Stat::Percentile(9500)),
            ("p99.9", Stat::Percentile(9990)),
            ("p99.99", Stat::Percentile(9999)),
            ("p5", Stat::Percentile(500)),
            ("mean", Stat::Mean),
            ("max", Stat::Max),
        ] {
            assert_eq!(text.parse(), Ok(Statistic(stat)));
            assert_eq!(Statistic(stat).to_string(), text);
        }
        for text in ["p", "p0", "p100", "p95.123", "P95", "95", "avg", "p999"] {
            assert!(text.parse::<Statistic>().is_err(), "{text}");
        }
    }

    #[test]
    fn statuses() {
        for (text, from, to) in
            [("200", 200, 200), ("2xx", 200, 299), ("200-299", 200, 299), ("400-499", 400, 499)]
        {
            assert_eq!(text.parse(), Ok(StatusMatch { from, to }));
        }
        for text in ["99", "600", "6xx", "299-200", "2x", "20-30", ""] {
            assert!(text.parse::<StatusMatch>().is_err(), "{text}");
        }
    }

    #[test]
    fn bounds() {
        assert_eq!("500ms".parse(), Ok(LatencyBound::Absolute(GoDuration::from_millis(500))));
        assert_eq!("110%".parse(), Ok(LatencyBound::Relative(Share { ppb: 1_100_000_000 })));
        assert!("500".parse::<LatencyBound>().is_err());
    }
}
