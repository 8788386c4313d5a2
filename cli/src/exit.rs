//! Exit codes of `plimsoll`, as the design's verdict table fixes them.

use std::process::ExitCode;

use plimsoll_slo::Verdict;

/// How the program ends. The order is the order of the codes: of several tests the highest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    Passed = 0,
    Failed = 1,
    Refused = 2,
    Inconclusive = 3,
    Error = 4,
    Interrupted = 130,
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passed => Self::Passed,
            Verdict::Failed => Self::Failed,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Error => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
