//! Bucket bounds against exact arithmetic: `v` is over `2^(i/256)` seconds iff `v^256 > 10^9^256 · 2^i`.

use plimsoll_measure::Histogram;

/// Little-endian natural number of any size.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Natural(Vec<u64>);

impl Natural {
    fn power(base: u64, exponent: u32) -> Self {
        let mut digits = vec![1u64];
        for _ in 0..exponent {
            let mut carry = 0u128;
            for digit in &mut digits {
                let product = u128::from(*digit) * u128::from(base) + carry;
                *digit = product as u64;
                carry = product >> 64;
            }
            if carry > 0 {
                digits.push(carry as u64);
            }
        }
        Self(digits)
    }

    fn shifted(&self, bits: u32) -> Self {
        let mut digits = vec![0; (bits / 64) as usize];
        let mut carry = 0u128;
        for digit in &self.0 {
            let wide = u128::from(*digit) << (bits % 64) | carry;
            digits.push(wide as u64);
            carry = wide >> 64;
        }
        digits.push(carry as u64);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }

    fn is_over(&self, other: &Self) -> bool {
        let by_size = self.0.len().cmp(&other.0.len());
        by_size.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_gt()
    }
}

/// Whether `nanos` is over the lower bound of bucket `i`.
fn is_over_bound(nanos: u64, i: i32, second: &Natural) -> bool {
    let value = Natural::power(nanos, 256);
    if i >= 0 { value.is_over(&second.shifted(i as u32)) } else { value.shifted(-i as u32).is_over(second) }
}

fn bucket(nanos: u64) -> i32 {
    let mut histogram = Histogram::new();
    histogram.record(nanos);
    histogram.buckets().next().expect("one bucket is filled").0
}

#[test]
fn powers_of_two_belong_to_the_bucket_below() {
    assert_eq!(bucket(1_000_000_000), -1);
    assert_eq!(bucket(1_000_000_001), 0);
    assert_eq!(bucket(999_999_999), -1);
    assert_eq!(bucket(2_000_000_000), 255);
    assert_eq!(bucket(2_000_000_001), 256);
    assert_eq!(bucket(500_000_000), -257);
    assert_eq!(bucket(500_000_001), -256);
    assert_eq!(bucket(1_953_125), -9 * 256 - 1, "2^-9 s");
    assert_eq!(bucket(64_000_000_000), 6 * 256 - 1);
}

#[test]
fn every_bound_is_exact() {
    let second = Natural::power(1_000_000_000, 256);
    // Bounds over a second to 2^18 s, where bounds are furthest from doubt, and down to 2^-20 s: found by bisection, checked exactly.
    for i in (-20 * 256..18 * 256).step_by(37).chain(-300..300) {
        let (mut low, mut high) = (1u64, 1u64 << 50);
        while low + 1 < high {
            let middle = low.midpoint(high);
            if bucket(middle) >= i { high = middle } else { low = middle }
        }
        assert_eq!(bucket(low) + 1, bucket(high), "no bucket of this size is skipped");
        assert!(is_over_bound(high, i, &second), "{high} ns is not over the bound of bucket {i}");
        assert!(!is_over_bound(low, i, &second), "{low} ns is over the bound of bucket {i}");
    }
}

#[test]
fn the_largest_durations_have_exact_bounds_too() {
    let second = Natural::power(1_000_000_000, 256);
    for nanos in [1, 2, 3, 1000, 1 << 53, (1 << 53) + 1, u64::MAX / 3, u64::MAX - 1, u64::MAX] {
        let i = bucket(nanos);
        assert!(is_over_bound(nanos, i, &second) && !is_over_bound(nanos, i + 1, &second), "{nanos} in {i}");
    }
}

#[test]
fn upper_bounds_are_powers_of_two() {
    let histogram = Histogram::new();
    assert_eq!(histogram.upper_bound(-1), 1e9);
    assert_eq!(histogram.upper_bound(255), 2e9);
    assert_eq!(Histogram::at_scale(3).upper_bound(7), 2e9);
}
