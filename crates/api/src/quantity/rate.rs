//! Rates with a unit, as requests per 1000 minutes.

use std::fmt;
use std::str::FromStr;

use plimsoll_measure::RATE_SECONDS;
use plimsoll_slo::text;

use super::{ParseError, fixed, text_quantity};

/// Pattern of a rate in the CRDs.
pub(crate) const PATTERN: &str = r"^[0-9]{1,7}(\.[0-9]{1,3})?/(s|m)$";
const WANTED: &str = "a rate such as 2000/s, 0.5/s or 30/m";

/// A rate, to a thousandth of a request per second or per minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Requests per [`RATE_SECONDS`], which are 1000 minutes.
    pub per_1000_min: u64,
}

impl FromStr for Rate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError { found: text.to_owned(), wanted: WANTED };
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let thousandths = fixed(number, 3).ok_or_else(wrong)?;
        if number.split('.').next().is_some_and(|whole| whole.len() > 7) {
            return Err(wrong());
        }
        let per_1000_min = match unit {
            "s" => thousandths * (RATE_SECONDS / 1000),
            "m" => thousandths,
            _ => return Err(wrong()),
        };
        Ok(Self { per_1000_min })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::rate_exact(self.per_1000_min))
    }
}

text_quantity!(Rate, PATTERN, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, value, shown) in [
            ("2000/s", 120_000_000, "2000/s"),
            ("30/m", 30_000, "0.5/s"),
            ("100/m", 100_000, "100/m"),
            ("0.25/s", 15_000, "0.25/s"),
            ("1/m", 1000, "1/m"),
            ("0.001/m", 1, "0.001/m"),
            ("0/s", 0, "0/s"),
            ("9999999.999/s", 599_999_999_940, "9999999.999/s"),
            ("9999999.999/m", 9_999_999_999, "9999999.999/m"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.per_1000_min, rate.to_string().as_str()), (value, shown));
            assert_eq!(shown.parse(), Ok(rate));
        }
        for text in ["10", "10/h", "/s", "1./s", "1.2345/s", "-1/s", "12345678/s", "1e3/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
