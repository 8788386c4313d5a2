//! A number of users, or a percentage of the profile's `users`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Share;

/// Users of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// That many.
    Count(u32),
    /// That share of the profile's `users`.
    Percent(Share),
}

impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Percent(share) => share.fmt(f),
        }
    }
}

impl Serialize for Users {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => to.serialize_u32(*count),
            Self::Percent(share) => to.collect_str(share),
        }
    }
}

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "users are a whole number or a percentage such as 20%")]
        enum Raw {
            Count(u32),
            Percent(Share),
        }
        Ok(match Raw::deserialize(from)? {
            Raw::Count(count) => Self::Count(count),
            Raw::Percent(share) => Self::Percent(share),
        })
    }
}

impl JsonSchema for Users {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Users".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "pattern": super::share::PATTERN,
            "minimum": 0,
            "maximum": 10_000_000,
            "maxLength": 16
        })
    }
}
