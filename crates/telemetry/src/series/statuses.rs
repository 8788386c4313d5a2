//! Which statuses of responses have series of their own: the registered ones and those that widespread servers send. So that a target
//! that answers with every number there is makes no series for each, the others are summed up.

use std::ops::RangeInclusive;

/// Statuses with series of their own.
const KNOWN: [RangeInclusive<u16>; 16] = [
    100..=104,
    200..=208,
    226..=226,
    300..=308,
    400..=431,
    440..=440,
    444..=444,
    449..=451,
    460..=460,
    463..=463,
    494..=499,
    500..=511,
    520..=530,
    540..=540,
    561..=561,
    598..=599,
];

/// Whether a status has series of its own.
pub(super) fn is_known(status: u16) -> bool {
    KNOWN.iter().any(|range| range.contains(&status))
}
