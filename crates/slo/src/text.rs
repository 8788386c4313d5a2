//! Numbers for people: one decimal number and one unit. Messages, status and reports all render with these functions.
//!
//! A rounded number never lies on the other side of a bound than the exact one: it gets more decimals until it does not.

use plimsoll_measure::RATE_SECONDS;

/// A number as numerator and denominator; the denominator is not 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio(pub(crate) u128, pub(crate) u128);

impl Ratio {
    /// Whether it is at most the other.
    pub(crate) fn at_most(self, other: Self) -> bool {
        self.0.saturating_mul(other.1) <= other.0.saturating_mul(self.1)
    }
}

/// Most decimals that a number is given.
const PLACES: u32 = 9;

/// A latency or span: `350ns`, `12.3us`, `612.4ms`, `5.92s`.
#[must_use]
pub fn duration(nanos: u64) -> String {
    let (unit, per_unit, places) = unit_of(nanos);
    let value = Ratio(nanos.into(), per_unit);
    format!("{}{unit}", decimal(value, places, |_| ()))
}

/// A span with all its digits, for bounds: `500ms`, `1.234s`.
#[must_use]
pub fn duration_exact(nanos: u64) -> String {
    let (unit, per_unit, _) = unit_of(nanos);
    format!("{}{unit}", decimal(Ratio(nanos.into(), per_unit), PLACES, |_| ()))
}

/// A latency that is compared with a bound; the text is at most the bound if and only if the latency is.
#[must_use]
pub fn duration_beside(nanos: u64, bound: u64) -> String {
    let (unit, per_unit, places) = unit_of(nanos);
    let bound = Ratio(bound.into(), per_unit);
    format!("{}{unit}", decimal(Ratio(nanos.into(), per_unit), places, |value| value.at_most(bound)))
}

/// As [`duration_beside`], with several bounds.
#[must_use]
pub fn duration_among(nanos: u64, bounds: &[u64]) -> String {
    let (unit, per_unit, places) = unit_of(nanos);
    let side = |value: Ratio| each(bounds, |bound| value.at_most(Ratio(bound.into(), per_unit)));
    format!("{}{unit}", decimal(Ratio(nanos.into(), per_unit), places, side))
}

/// A share with one decimal: `1.2%`; more where it would read as none or all and is not. `-` of nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    percent(part, whole, 1, |_| ())
}

/// A share with at least two decimals: `7.63%`. `-` of nothing.
#[must_use]
pub fn exact_share(part: u64, whole: u64) -> String {
    percent(part, whole, 2, |_| ())
}

/// A share that is given in parts per billion, with all its digits: `0.1%`.
#[must_use]
pub fn share_exact(ppb: u64) -> String {
    format!("{}%", decimal(ppb_percent(ppb), PLACES, |_| ()))
}

/// Events per second: `18.2/s`. `-` over no time.
#[must_use]
pub fn rate(events: u64, nanos: u64) -> String {
    rate_beside(events, nanos, PER_SECOND, |_| ())
}

/// A rate that is given per [`RATE_SECONDS`], with all its digits: `0.5/s`, or `100/m` where that needs fewer.
#[must_use]
pub fn rate_exact(kept: u64) -> String {
    let unit = rate_unit([kept]);
    format!("{}/{}", decimal(unit.of(kept_rate(kept)), PLACES, |_| ()), unit.name)
}

/// A unit of rates.
#[derive(Clone, Copy)]
pub(crate) struct RateUnit {
    name: char,
    seconds: u64,
}

const PER_SECOND: RateUnit = RateUnit { name: 's', seconds: 1 };
const PER_MINUTE: RateUnit = RateUnit { name: 'm', seconds: 60 };

impl RateUnit {
    /// A rate per second in this unit.
    fn of(self, rate: Ratio) -> Ratio {
        Ratio(rate.0.saturating_mul(self.seconds.into()), rate.1)
    }
}

/// The unit for rates that are given per [`RATE_SECONDS`]: per second, unless one of them has more than three decimals then.
pub(crate) fn rate_unit(kept: impl IntoIterator<Item = u64>) -> RateUnit {
    let by_second = kept.into_iter().all(|rate| rate.is_multiple_of(RATE_SECONDS / 1000));
    if by_second { PER_SECOND } else { PER_MINUTE }
}

/// Events per second of a rate that is given per [`RATE_SECONDS`].
pub(crate) fn kept_rate(kept: u64) -> Ratio {
    Ratio(kept.into(), RATE_SECONDS.into())
}

/// As [`share`], of a share that is compared with bounds in parts per billion: it is shown on its side of each.
#[must_use]
pub fn share_among(part: u64, whole: u64, at_least: &[u64], at_most: &[u64]) -> String {
    percent(part, whole, 1, |share| sides(share, at_least, at_most, ppb_percent))
}

/// As [`rate`], of a rate that is compared with bounds per [`RATE_SECONDS`]: it is shown on its side of each.
#[must_use]
pub fn rate_among(events: u64, nanos: u64, at_least: &[u64], at_most: &[u64]) -> String {
    rate_beside(events, nanos, PER_SECOND, |rate| sides(rate, at_least, at_most, kept_rate))
}

/// Which of the bounds hold.
fn sides(
    value: Ratio,
    at_least: &[u64],
    at_most: &[u64],
    as_ratio: impl Fn(u64) -> Ratio,
) -> (Vec<bool>, Vec<bool>) {
    let least = each(at_least, |bound| as_ratio(bound).at_most(value));
    (least, each(at_most, |bound| value.at_most(as_ratio(bound))))
}

fn each(bounds: &[u64], holds: impl Fn(u64) -> bool) -> Vec<bool> {
    bounds.iter().map(|bound| holds(*bound)).collect()
}

/// A count with its thousands apart: `18 240`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 request`, `2 requests`.
#[must_use]
pub fn counted(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// A span as sentences have it: `612.4 ms` for `612.4ms`. Shares and rates stay as they are.
#[must_use]
pub fn spaced(text: &str) -> String {
    match text.find(|c: char| c.is_ascii_alphabetic()) {
        Some(at) if at > 0 && !text.contains('/') => format!("{} {}", &text[..at], &text[at..]),
        _ => text.to_owned(),
    }
}

/// A share in percent, rounded so that `side` says of it what it says of the exact one.
pub(crate) fn percent<S: PartialEq>(part: u64, whole: u64, places: u32, side: impl Fn(Ratio) -> S) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let value = Ratio(u128::from(part) * 100, whole.into());
    let side = |value: Ratio| (value.0 > 0, Ratio(100, 1).at_most(value), side(value));
    format!("{}%", decimal(value, places, side))
}

/// One number in percent of another, which may be over 100 %; rounded as [`percent`] does. `whole` is not 0.
pub(crate) fn ratio_percent<S: PartialEq>(part: u64, whole: u64, side: impl Fn(Ratio) -> S) -> String {
    format!("{}%", decimal(Ratio(u128::from(part) * 100, whole.into()), 1, side))
}

/// Parts per billion in percent.
pub(crate) fn ppb_percent(ppb: u64) -> Ratio {
    Ratio(ppb.into(), 10_000_000)
}

/// Events per time, rounded so that `side` says of the events per second what it says of the exact number.
pub(crate) fn rate_beside<S: PartialEq>(
    events: u64,
    nanos: u64,
    unit: RateUnit,
    side: impl Fn(Ratio) -> S,
) -> String {
    if nanos == 0 {
        return "-".to_owned();
    }
    let value = Ratio(u128::from(events) * 1_000_000_000, nanos.into());
    let side = |value: Ratio| (value.0 > 0, side(Ratio(value.0, value.1 * u128::from(unit.seconds))));
    format!("{}/{}", decimal(unit.of(value), 1, side), unit.name)
}

/// Unit, nanoseconds per unit, and decimals of a duration; it moves to the next unit before it would round to 1000 of one.
fn unit_of(nanos: u64) -> (&'static str, u128, u32) {
    match nanos {
        0 => ("s", 1_000_000_000, 0),
        1..1_000 => ("ns", 1, 0),
        1_000..999_950 => ("us", 1_000, 1),
        999_950..999_950_000 => ("ms", 1_000_000, 1),
        999_950_000..99_995_000_000 => ("s", 1_000_000_000, 2),
        _ => ("s", 1_000_000_000, 1),
    }
}

/// The number with as few decimals as `places` allows, and more as long as `side` tells the rounded one from the exact one.
pub(crate) fn decimal<S: PartialEq>(value: Ratio, places: u32, side: impl Fn(Ratio) -> S) -> String {
    let wanted = side(value);
    let scaled = |places: u32| value.0.saturating_mul(10u128.pow(places));
    for places in places..=PLACES {
        let rounded = scaled(places).saturating_add(value.1 / 2) / value.1;
        if side(Ratio(rounded, 10u128.pow(places))) == wanted {
            return digits(rounded, places);
        }
    }
    let down = scaled(PLACES) / value.1;
    let stays = side(Ratio(down, 10u128.pow(PLACES))) == wanted;
    digits(if stays { down } else { down + 1 }, PLACES)
}

/// `number / 10^places` without trailing zeros.
fn digits(number: u128, places: u32) -> String {
    let one = 10u128.pow(places);
    let (whole, rest) = (number / one, number % one);
    if rest == 0 {
        return whole.to_string();
    }
    let fraction = format!("{rest:0width$}", width = places as usize);
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_number_and_one_unit() {
        for (nanos, text) in [
            (0, "0s"),
            (350, "350ns"),
            (12_340, "12.3us"),
            (999_949, "999.9us"),
            (999_950, "1ms"),
            (612_400_000, "612.4ms"),
            (612_000_000, "612ms"),
            (999_960_000, "1s"),
            (5_920_400_000, "5.92s"),
            (99_996_000_000, "100s"),
            (312_480_000_000, "312.5s"),
        ] {
            assert_eq!(duration(nanos), text);
        }
        assert_eq!(duration_exact(1_234_567_890), "1.23456789s");
        assert_eq!(duration_exact(500_000_000), "500ms");
        assert_eq!(spaced("612.4ms"), "612.4 ms");
        assert_eq!(
            (spaced("1.2%"), spaced("18.2/s"), spaced("0s")),
            ("1.2%".into(), "18.2/s".into(), "0 s".into())
        );
    }

    #[test]
    fn rounding_never_crosses_the_bound() {
        assert_eq!(duration_beside(500_000_001, 500_000_000), "500.000001ms");
        assert_eq!(duration_beside(500_040_000, 500_000_000), "500.04ms");
        assert_eq!(duration_beside(499_970_000, 500_000_000), "500ms");
        assert_eq!(duration_beside(612_360_000, 612_380_000), "612.36ms");
        assert_eq!(duration_beside(612_360_000, 700_000_000), "612.4ms");
        let third = |bound| percent(1, 3, 1, |value| value.at_most(ppb_percent(bound)));
        assert_eq!(third(333_333_333), "33.33333333%", "the exact share is over the bound of 33.3333333%");
        assert_eq!(third(300_000_000), "33.3%");
    }

    #[test]
    fn rounding_crosses_none_of_several_bounds() {
        let (ms, bound) = (1_000_000, |n: u64| n * 100_000_000);
        assert_eq!(duration_among(500_040_000, &[]), "500ms");
        assert_eq!(duration_among(500_040_000, &[bound(5), bound(6)]), "500.04ms");
        assert_eq!(duration_among(500_040_000, &[500_020_000, 500_030_000, 510 * ms]), "500.04ms");
        assert_eq!(share_among(94_960, 100_000, &[950_000_000], &[]), "94.96%");
        assert_eq!(share_among(94_960, 100_000, &[900_000_000], &[]), "95%");
        assert_eq!(share_among(10_001, 1_000_000, &[], &[10_000_000, 500_000_000]), "1.0001%");
        let twenty = 20 * RATE_SECONDS;
        assert_eq!(rate_among(19_999, 1_000_000_000_000, &[twenty], &[]), "19.999/s");
        assert_eq!(rate_among(19_999, 1_000_000_000_000, &[], &[twenty]), "20/s");
    }

    #[test]
    fn shares_tell_none_and_all_from_nearly() {
        assert_eq!(share(0, 10), "0%");
        assert_eq!(share(1, 100_000), "0.001%");
        assert_eq!(share(99_999, 100_000), "99.999%");
        assert_eq!(share(10, 10), "100%");
        assert_eq!(share(12, 1000), "1.2%");
        assert_eq!(share(0, 0), "-");
        assert_eq!(exact_share(1_391, 18_240), "7.63%");
        assert_eq!(share_exact(1_000_000), "0.1%");
        assert_eq!(share_exact(1), "0.0000001%");
    }

    #[test]
    fn rates_and_counts() {
        assert_eq!(rate(1_092, 60_000_000_000), "18.2/s");
        assert_eq!(rate(1, 60_000_000_000), "0.02/s");
        assert_eq!(rate(1, 0), "-");
        assert_eq!(rate_exact(30_000), "0.5/s");
        assert_eq!(rate_exact(20 * RATE_SECONDS), "20/s");
        assert_eq!(rate_exact(100_000), "100/m");
        assert_eq!(rate_exact(u64::MAX), "18446744073709551.615/m");
        let minutes = |events| rate_beside(events, 3_600_000_000_000, PER_MINUTE, |_| ());
        assert_eq!((minutes(6000), minutes(5999)), ("100/m".into(), "100/m".into()));
        let beside = |rate: Ratio| kept_rate(100_000).at_most(rate);
        assert_eq!(rate_beside(5999, 3_600_000_000_000, PER_MINUTE, beside), "99.98/m");
        assert_eq!(
            (count(0), count(999), count(18_240), count(1_000_000)),
            ("0".into(), "999".into(), "18 240".into(), "1 000 000".into())
        );
        assert_eq!(
            (counted(1, "request"), counted(1_391, "request")),
            ("1 request".into(), "1 391 requests".into())
        );
    }
}
