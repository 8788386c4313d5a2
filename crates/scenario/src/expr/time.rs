//! Durations and timestamps as texts: `1h2m3.5s` and RFC 3339. Both are nanoseconds in 64 bits, as in `value.rs`.

use std::fmt::Write;

use super::failure::article;
use super::value::Value;

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// Numbers over this are milliseconds since the epoch, not seconds: as seconds they would be in the year 5138.
const MOST_SECONDS: u64 = 100_000_000_000;

/// Units of a duration, longer names first, in nanoseconds.
const UNITS: [(&str, i64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("h", 3600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
];

/// Nanoseconds of a duration like `1h2m3.5s`, `100ms`, `-2s`, `0`.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum: i128 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let whole = digits(rest);
        let (number, mut after) = rest.split_at(whole);
        let mut fraction = "";
        if let Some(tail) = after.strip_prefix('.') {
            (fraction, after) = tail.split_at(digits(tail));
        }
        if number.is_empty() && fraction.is_empty() {
            return None;
        }
        let (name, unit) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        rest = &after[name.len()..];
        if number.len() > 20 {
            return None;
        }
        sum += number.parse::<i128>().unwrap_or(0) * i128::from(*unit);
        // Digits beyond the 20th are under a nanosecond of any unit.
        let fraction = &fraction[..fraction.len().min(20)];
        if !fraction.is_empty() {
            sum += fraction.parse::<i128>().ok()? * i128::from(*unit) / 10_i128.pow(fraction.len() as u32);
        }
    }
    i64::try_from(if negative { -sum } else { sum }).ok()
}

/// A duration as CEL writes it: seconds with as many decimals as needed, and `s`.
pub(crate) fn write_duration(nanos: i64, out: &mut String) {
    let (sign, size) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let (seconds, rest) = (size / SECOND.unsigned_abs(), size % SECOND.unsigned_abs());
    // Writing to a string does not fail.
    let _ = write!(out, "{sign}{seconds}");
    if rest > 0 {
        let decimals = format!("{rest:09}");
        let _ = write!(out, ".{}", decimals.trim_end_matches('0'));
    }
    out.push('s');
}

/// Nanoseconds since the epoch of an RFC 3339 timestamp; from 1678 to 2262, what 64 bits hold.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<i64>().ok()
    };
    let mark = |at: usize, marks: &[u8]| bytes.get(at).filter(|b| marks.contains(b)).map(|_| ());
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    for (at, marks) in [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")] {
        mark(at, marks.as_bytes())?;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    // A leap second counts as the second after it.
    if !(1..=length).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if mark(at, b".").is_some() {
        let end = at + 1 + bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        let digits = text.get(at + 1..end.min(at + 10)).filter(|digits| !digits.is_empty())?;
        nanos = digits.parse::<i64>().ok()? * 10_i64.pow(9 - digits.len() as u32);
        at = end;
    }
    let offset = match bytes.get(at)? {
        b'Z' | b'z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 => {
            let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
            mark(at + 3, b":")?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    // In 128 bits, because the whole seconds of the earliest timestamp do not fit on their own.
    i64::try_from(i128::from(seconds) * i128::from(SECOND) + i128::from(nanos)).ok()
}

/// A timestamp as RFC 3339 with milliseconds, in UTC.
pub(crate) fn write_timestamp(nanos: i64, out: &mut String) {
    let (seconds, millis) = (nanos.div_euclid(SECOND), nanos.rem_euclid(SECOND) / 1_000_000);
    let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, date) = civil(day);
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
}

/// Days since the epoch of a date of the Gregorian calendar. Years are counted from March, so that the leap day is their last;
/// 400 years are 146 097 days.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a day since the epoch: the inverse of [`days`].
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + i64::from(month <= 2), month, date)
}

impl Value {
    /// The moment that a peer says it sent something at, nanoseconds since the epoch: a timestamp, an RFC 3339 text, or a number
    /// of seconds since the epoch (milliseconds if it is over 10¹¹).
    ///
    /// # Errors
    /// It is nothing of these.
    pub fn moment(&self) -> Result<i64, String> {
        let found = match self {
            Self::Timestamp(nanos) => Some(*nanos),
            Self::String(text) => parse_timestamp(text),
            Self::Int(int) if int.unsigned_abs() > MOST_SECONDS => int.checked_mul(1_000_000),
            Self::Int(int) => int.checked_mul(SECOND),
            Self::Double(double) => {
                let unit = if double.abs() > MOST_SECONDS as f64 { 1_000_000 } else { SECOND };
                // The whole apart, because a double does not hold all nanoseconds since the epoch; one that is no number, or too
                // large for an int, becomes an int that does not fit when multiplied.
                let whole = Some(double.trunc()).filter(|whole| whole.is_finite()).map(|whole| whole as i64);
                let fraction = (double.fract() * unit as f64).round() as i64;
                whole.and_then(|whole| whole.checked_mul(unit)).and_then(|nanos| nanos.checked_add(fraction))
            }
            _ => None,
        };
        found.ok_or_else(|| match self {
            Self::String(_) => "the string is no RFC 3339 timestamp".to_owned(),
            other => {
                let kind = article(other.type_name());
                format!(
                    "a moment is a timestamp, an RFC 3339 string or a number of epoch seconds, not {kind}"
                )
            }
        })
    }
}
