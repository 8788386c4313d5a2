//! What Prometheus scrapes: text for people and old servers, OpenMetrics, and protobuf, which alone carries native histograms. Whoever
//! scrapes says what it wants (`prometheus/negotiate.rs`); classic buckets are in `prometheus/classic.rs`, native ones in
//! `prometheus/native.rs`.

mod classic;
mod model;
mod native;
mod negotiate;
mod protobuf;
mod serve;
mod text;

pub use negotiate::Format;
pub use serve::{Readiness, Served, serve};

use crate::Family;

/// Families in the format that an `Accept` header asks for: the content type, and the body.
#[must_use]
pub fn exposition(families: &[Family], accept: Option<&str>) -> (&'static str, Vec<u8>) {
    let format = Format::of(accept.unwrap_or_default());
    (format.content_type(), write(families, format))
}

/// Families in a format.
#[must_use]
pub fn write(families: &[Family], format: Format) -> Vec<u8> {
    match format {
        Format::Protobuf => protobuf::write(families),
        Format::OpenMetrics => text::write(families, true).into_bytes(),
        Format::Text => text::write(families, false).into_bytes(),
    }
}
