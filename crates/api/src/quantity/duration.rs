//! Durations in the notation of Go and Kubernetes, as nanoseconds.

use std::fmt;
use std::str::FromStr;

use super::{ParseError, text_quantity};

/// Pattern of a duration in the CRDs.
pub(crate) const PATTERN: &str = "^([0-9]{1,5}(h|m|s|ms|us)){1,4}$";
const WANTED: &str = "a duration such as 500ms, 90s or 1h30m (whole numbers of h, m, s, ms, us)";
const HOUR: u64 = 3_600_000_000_000;
/// Longest duration: 9999 hours.
const LONGEST: u64 = 9999 * HOUR;

/// A duration; one text form for equal durations, so that `90s` and `1m30s` hash alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    /// Nanoseconds.
    pub nanos: u64,
}

impl GoDuration {
    /// Of whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self { nanos: secs * 1_000_000_000 }
    }

    /// Of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { nanos: millis * 1_000_000 }
    }
}

impl FromStr for GoDuration {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let wrong = || ParseError { found: text.to_owned(), wanted: WANTED };
        let mut rest = text;
        let mut nanos = 0u64;
        let mut parts = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, tail) = tail.split_at(letters);
            let unit = match unit {
                "h" => HOUR,
                "m" => 60_000_000_000,
                "s" => 1_000_000_000,
                "ms" => 1_000_000,
                "us" => 1_000,
                _ => return Err(wrong()),
            };
            if digits == 0 || digits > 5 {
                return Err(wrong());
            }
            let number: u64 = number.parse().map_err(|_| wrong())?;
            nanos = nanos.saturating_add(number.saturating_mul(unit));
            parts += 1;
            rest = tail;
        }
        if parts == 0 || parts > 4 {
            return Err(wrong());
        }
        if nanos > LONGEST {
            return Err(ParseError { found: text.to_owned(), wanted: "at most 9999h" });
        }
        Ok(Self { nanos })
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a pattern of whole microseconds cannot say is rounded up to one: never 0 for something.
        let micros = self.nanos.div_ceil(1000);
        let (hours, rest) = (micros / 3_600_000_000, micros % 3_600_000_000);
        let (mut minutes, rest) = (rest / 60_000_000, rest % 60_000_000);
        let (mut seconds, rest) = (rest / 1_000_000, rest % 1_000_000);
        let (millis, micros) = (rest / 1000, rest % 1000);
        let parts = [hours, minutes, seconds, millis, micros];
        if parts.iter().all(|p| *p > 0) {
            // The pattern has room for four parts.
            seconds += minutes * 60;
            minutes = 0;
        }
        if parts.iter().all(|p| *p == 0) {
            return f.write_str("0s");
        }
        for (value, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s"), (millis, "ms"), (micros, "us")] {
            if value > 0 {
                write!(f, "{value}{unit}")?;
            }
        }
        Ok(())
    }
}

text_quantity!(GoDuration, PATTERN, 32);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_the_pattern_allows_and_nothing_else() {
        for (text, nanos) in [
            ("0s", 0),
            ("500ms", 500_000_000),
            ("90s", 90_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("250us", 250_000),
            ("1m30s500ms", 90_500_000_000),
        ] {
            assert_eq!(text.parse(), Ok(GoDuration { nanos }), "{text}");
        }
        for text in
            ["", "5", "s", "1.5s", "-1s", "1d", "1 s", "1S", "123456s", "1h1m1s1ms1us", "99999h", "1ns"]
        {
            assert!(text.parse::<GoDuration>().is_err(), "{text}");
        }
    }

    #[test]
    fn equal_durations_have_one_text() {
        for (text, shown) in
            [("90s", "1m30s"), ("60m", "1h"), ("0ms", "0s"), ("2000h61s1ms1us", "2000h61s1ms1us")]
        {
            assert_eq!(text.parse::<GoDuration>().unwrap().to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn shown_text_reads_back(micros in 0u64..9999 * 3_600_000_000) {
            let duration = GoDuration { nanos: micros * 1000 };
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
    }
}
