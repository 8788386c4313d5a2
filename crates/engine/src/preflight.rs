//! One connection before the start: a target that cannot be reached is found in two seconds, not in a ruined run.

use std::time::Duration;

use plimsoll_plan::Preflight;

use crate::Engine;
use crate::dial::Dialer;
use crate::resolve::Resolver;

/// How long the target may take to shake hands.
const LIMIT: Duration = Duration::from_secs(2);

/// The target cannot be reached. The text names address and cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{target} cannot be reached: {cause}")]
pub struct Unreachable {
    /// Scheme, host and port.
    pub target: String,
    /// What went wrong.
    pub cause: String,
}

pub(crate) async fn preflight(engine: &Engine) -> Result<(), Unreachable> {
    let Some(share) = engine.lanes.first() else { return Ok(()) };
    if share.plan.target.preflight == Preflight::Skip {
        return Ok(());
    }
    let dialer = Dialer::new(Resolver::new(engine.remembered.clone()), engine.tls.clone(), 0);
    let cause = match tokio::time::timeout(LIMIT, dialer.target(&engine.destination)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {} s", LIMIT.as_secs()),
    };
    let target = format!("{}://{}", engine.origin.scheme(), engine.origin.authority());
    Err(Unreachable { target, cause })
}
