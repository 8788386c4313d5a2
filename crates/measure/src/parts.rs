//! A histogram as plain numbers: what travels between processes and lies in stored results. Made from and into `histogram.rs`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::buckets::{HIGHEST, LOWEST};
use crate::{Histogram, SCALE};

/// A histogram as numbers; empty ones serialise to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistogramParts {
    /// `8 - scale`: 0 for the finest.
    #[serde(skip_serializing_if = "is_zero")]
    pub shift: u64,
    /// Durations of 0 ns.
    #[serde(skip_serializing_if = "is_zero")]
    pub zero: u64,
    /// Nanoseconds, the lower 64 bits.
    #[serde(skip_serializing_if = "is_zero")]
    pub sum: u64,
    /// The sum's upper 64 bits.
    #[serde(skip_serializing_if = "is_zero")]
    pub sum_high: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub min: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub max: u64,
    /// Index and count of each filled bucket in turn; the index as the distance to the bucket before, the first one to 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<i64>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Why numbers are no histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// The scale is unknown here.
    #[error("histogram scale must be 0 to 8, not 8 - {0}; the sender is of another version")]
    Scale(u64),
    /// Buckets are not pairs, or not ascending, or beyond the range of durations.
    #[error("histogram buckets must be pairs of ascending index and count within the range of durations")]
    Buckets,
    /// Counts do not add up, or minimum and maximum contradict them.
    #[error("histogram counts, minimum and maximum contradict each other")]
    Totals,
}

impl Histogram {
    /// The histogram as numbers.
    #[must_use]
    pub fn to_parts(&self) -> HistogramParts {
        let mut previous = 0;
        let mut buckets = Vec::new();
        for (index, n) in self.buckets() {
            buckets.push(i64::from(index - previous));
            buckets.push(i64::try_from(n).unwrap_or(i64::MAX));
            previous = index;
        }
        HistogramParts {
            shift: if self.is_empty() { 0 } else { (SCALE - self.scale()) as u64 },
            zero: self.zero(),
            sum: self.sum() as u64,
            sum_high: (self.sum() >> 64) as u64,
            min: self.min().unwrap_or_default(),
            max: self.max().unwrap_or_default(),
            buckets,
        }
    }

    /// The histogram of these numbers.
    ///
    /// # Errors
    /// When they cannot come from a histogram; whoever sent them is of another version, or not to be trusted.
    pub fn from_parts(parts: &HistogramParts) -> Result<Self, HistogramError> {
        let shift = u32::try_from(parts.shift).ok().filter(|shift| *shift <= 8);
        let shift = shift.ok_or(HistogramError::Scale(parts.shift))?;
        let buckets = pairs(&parts.buckets, LOWEST >> shift, HIGHEST >> shift)?;
        let filled = buckets.iter().try_fold(parts.zero, |sum, (_, n)| sum.checked_add(*n));
        let count = filled.ok_or(HistogramError::Totals)?;
        let sum = u128::from(parts.sum_high) << 64 | u128::from(parts.sum);
        if count == 0 {
            return if sum == 0 { Ok(Self::default()) } else { Err(HistogramError::Totals) };
        }
        let least = u128::from(parts.min) + u128::from(parts.max) * u128::from(count > 1);
        if parts.min > parts.max || sum < least || sum > u128::from(parts.max) * u128::from(count) {
            return Err(HistogramError::Totals);
        }
        let scale = SCALE - shift as i32;
        Ok(Self::assemble(scale, parts.zero, (count, sum), (parts.min, parts.max), &buckets))
    }
}

fn pairs(numbers: &[i64], lowest: i32, highest: i32) -> Result<Vec<(i32, u64)>, HistogramError> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(HistogramError::Buckets);
    }
    let mut buckets: Vec<(i32, u64)> = Vec::with_capacity(pairs.len());
    for [step, n] in pairs {
        let previous = buckets.last().map(|(index, _)| *index);
        let index =
            i64::from(previous.unwrap_or_default()).checked_add(*step).and_then(|i| i32::try_from(i).ok());
        let index = index.filter(|i| (lowest..=highest).contains(i) && previous.is_none_or(|p| p < *i));
        let n = u64::try_from(*n).ok().filter(|n| *n > 0);
        buckets.push(index.zip(n).ok_or(HistogramError::Buckets)?);
    }
    Ok(buckets)
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_parts().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_parts(&HistogramParts::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
