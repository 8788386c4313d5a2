//! Quantities as people write them: `1m30s`, `2000/s`, `0.1%`, `p99.9`. Integers inside, one text form outside.
//!
//! The patterns are those of the CRD; `read/texts.rs` checks a text by the same parsers.

pub(crate) mod bound;
pub(crate) mod duration;
pub(crate) mod rate;
pub(crate) mod share;
mod users;

pub use bound::{LatencyBound, Statistic, StatusMatch};
pub use duration::GoDuration;
pub use rate::Rate;
pub use share::Share;
pub use users::Users;

/// A text that is not the quantity it should be; says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not {wanted}")]
pub struct ParseError {
    /// The text.
    pub found: String,
    /// What was expected, with an example.
    pub wanted: &'static str,
}

/// Derives serde and schema of a quantity from `FromStr`, `Display` and its pattern.
macro_rules! text_quantity {
    ($type:ty, $pattern:expr, $max:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern, "maxLength": $max})
            }
        }
    };
}

use text_quantity;

/// Digits with at most `decimals` after the point, as an integer of that many decimals: `("1.25", 3)` is 1250.
fn fixed(text: &str, decimals: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let given = text.contains('.');
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals {
        return None;
    }
    if given && fraction.is_empty() {
        return None;
    }
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

/// The reverse of [`fixed`], without trailing zeros.
fn unfixed(value: u64, decimals: u32) -> String {
    let unit = 10u64.pow(decimals);
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = format!("{fraction:0width$}", width = decimals as usize);
    format!("{whole}.{}", digits.trim_end_matches('0'))
}
