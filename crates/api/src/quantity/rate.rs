//! Rates with a unit, as requests per 1000 seconds.

use std::fmt;
use std::str::FromStr;

use super::{ParseError, fixed, text_quantity, unfixed};

/// Pattern of a rate in the CRDs.
pub(crate) const PATTERN: &str = r"^[0-9]{1,7}(\.[0-9]{1,3})?/(s|m)$";
const WANTED: &str = "a rate such as 2000/s, 0.5/s or 30/m";

/// A rate, to a thousandth of a request per second (a rate per minute is rounded to that).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Requests per 1000 seconds.
    pub per_1000_s: u64,
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
        let per_1000_s = match unit {
            "s" => thousandths,
            "m" => (thousandths + 30) / 60,
            _ => return Err(wrong()),
        };
        Ok(Self { per_1000_s })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", unfixed(self.per_1000_s, 3))
    }
}

text_quantity!(Rate, PATTERN, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, value, shown) in [
            ("2000/s", 2_000_000, "2000/s"),
            ("30/m", 500, "0.5/s"),
            ("0.25/s", 250, "0.25/s"),
            ("1/m", 17, "0.017/s"),
            ("0/s", 0, "0/s"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.per_1000_s, rate.to_string().as_str()), (value, shown));
            assert_eq!(shown.parse(), Ok(rate));
        }
        for text in ["10", "10/h", "/s", "1./s", "1.2345/s", "-1/s", "12345678/s", "1e3/s"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
