//! Shares in percent, as parts per billion, so that comparing them is comparing integers.

use std::fmt;
use std::str::FromStr;

use super::{ParseError, fixed, text_quantity, unfixed};

/// Pattern of a share in the CRDs.
pub(crate) const PATTERN: &str = r"^[0-9]{1,4}(\.[0-9]{1,7})?%$";
const WANTED: &str = "a share such as 1%, 0.1% or 99.9%";

/// A share of something; 1 % is 10 000 000 parts per billion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    /// Parts per billion.
    pub ppb: u64,
}

impl Share {
    /// Of whole tenths of a percent: 5 is 0.5 %.
    #[must_use]
    pub const fn from_per_mille(tenths: u64) -> Self {
        Self { ppb: tenths * 1_000_000 }
    }
}

impl FromStr for Share {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError { found: text.to_owned(), wanted: WANTED };
        let number = text.strip_suffix('%').ok_or_else(wrong)?;
        if number.split('.').next().is_some_and(|whole| whole.len() > 4) {
            return Err(wrong());
        }
        Ok(Self { ppb: fixed(number, 7).ok_or_else(wrong)? })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", unfixed(self.ppb, 7))
    }
}

text_quantity!(Share, PATTERN, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, ppb) in [("1%", 10_000_000), ("0.1%", 1_000_000), ("110%", 1_100_000_000), ("0%", 0)] {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.ppb, share.to_string().as_str()), (ppb, text));
        }
        for text in ["1", "0.01", "1 %", ".5%", "1.%", "-1%", "12345%", "0.12345678%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
