//! The settings of the Aragora endpoints (`aragora/settings.rs`), checked, as they hold now.

use std::time::Duration;

use serde_json::Value;

use super::settings::Aragora;
use crate::config::ConfigError;
use crate::law::{When, delay};
use crate::patch::merge;
use crate::reply;

/// Checked settings that hold now.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) settings: Aragora,
    pub(crate) latency: Box<[Duration]>,
}

impl Live {
    /// Checks the settings.
    pub(crate) fn new(settings: Aragora) -> Result<Self, ConfigError> {
        let at = |field: &str| format!("aragora.{field}");
        let sockets = &settings.sockets;
        let times = [
            ("deepMs", Some(settings.deep_ms)),
            ("debates.startMs", Some(settings.debates.start_ms)),
            ("debates.messageMs", Some(settings.debates.message_ms)),
            ("debates.durationMs", settings.debates.duration_ms),
            ("debates.purgeAfterMs", settings.debates.purge_after_ms),
            ("jobs.gauntletMs", Some(settings.jobs.gauntlet_ms)),
            ("jobs.pipelineMs", Some(settings.jobs.pipeline_ms)),
            ("sockets.channelMs", Some(sockets.channel_ms)),
            ("sockets.heartbeatMs", Some(sockets.heartbeat_ms)),
            ("sockets.handshakeMs", Some(sockets.handshake_ms)),
            ("sockets.readDelayMs", Some(sockets.read_delay_ms)),
            ("sse.heartbeatMs", Some(settings.sse.heartbeat_ms)),
        ];
        for (field, ms) in times {
            ms.map(delay).transpose().map_err(|problem| ConfigError::at(at(field), problem))?;
        }
        for (field, ms) in [
            ("sockets.channelMs", sockets.channel_ms),
            ("sockets.heartbeatMs", sockets.heartbeat_ms),
            ("sse.heartbeatMs", settings.sse.heartbeat_ms),
        ] {
            if ms < 1.0 {
                return Err(ConfigError::at(at(field), format!("{ms} ms is no pace; use 1 ms or more")));
            }
        }
        selections(&settings)?;
        values(&settings)?;
        let latency = settings.latency.cycle().map_err(|problem| ConfigError::at(at("latency"), problem))?;
        Ok(Live { settings, latency })
    }

    /// The same with some settings changed by a merge patch.
    pub(crate) fn patched(&self, patch: &Value) -> Result<Self, ConfigError> {
        let wrong = |problem: String| ConfigError::at("aragora", problem);
        if patch.get("enabled").is_some() {
            return Err(wrong("enabled is fixed at the start; remove it".into()));
        }
        let mut document = serde_json::to_value(&self.settings).map_err(|error| wrong(error.to_string()))?;
        merge(&mut document, patch);
        Live::new(serde_json::from_value(document).map_err(|error| wrong(error.to_string()))?)
    }
}

fn selections(settings: &Aragora) -> Result<(), ConfigError> {
    let sockets = &settings.sockets;
    for (field, when) in [
        ("debates.stuck", settings.debates.stuck),
        ("jobs.failed", settings.jobs.failed),
        ("sockets.refuse", sockets.refuse),
        ("sockets.skip", sockets.skip),
        ("sockets.duplicate", sockets.duplicate),
        ("sockets.reorder", sockets.reorder),
        ("sockets.badJson", sockets.bad_json),
    ] {
        when.map_or(Ok(()), When::check)
            .map_err(|problem| ConfigError::at(format!("aragora.{field}"), problem))?;
    }
    Ok(())
}

fn values(settings: &Aragora) -> Result<(), ConfigError> {
    let (sockets, debates) = (&settings.sockets, &settings.debates);
    let wrong = |field: &str, problem: &str| Err(ConfigError::at(format!("aragora.{field}"), problem));
    if debates.outcomes.is_empty() {
        return wrong("debates.outcomes", "debates end somehow; name at least one outcome");
    }
    if !(1..=100).contains(&debates.max_rounds) || debates.tokens > 1000 {
        return wrong("debates", "use 1 to 100 maxRounds and at most 1000 tokens");
    }
    if settings.jobs.verdicts.is_empty() {
        return wrong("jobs.verdicts", "gauntlets have a verdict; name at least one");
    }
    if !matches!(sockets.plain_status, 400 | 426) {
        return wrong("sockets.plainStatus", "use 400 or 426");
    }
    if let Err(problem) = reply::status(sockets.refuse_status) {
        return wrong("sockets.refuseStatus", &problem);
    }
    if sockets
        .drop_code
        .is_some_and(|code| !(1000..5000).contains(&code) || matches!(code, 1005 | 1006 | 1015))
    {
        return wrong("sockets.dropCode", "a close code is 1000 to 4999, without 1005, 1006 and 1015");
    }
    if !(0.0..=1e9).contains(&sockets.messages_per_second) {
        return wrong("sockets.messagesPerSecond", "use 0 to 1e9");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::settings::Shape;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_defaults_hold_and_survive_json() {
        let text = serde_json::to_string(&Aragora::default()).unwrap();
        assert_eq!(serde_json::from_str::<Aragora>(&text).unwrap(), Aragora::default());
        assert_eq!(serde_json::from_str::<Aragora>("{}").unwrap(), Aragora::default());
        Live::new(Aragora::default()).unwrap();
    }

    #[test]
    fn patches_change_and_mistakes_are_named() {
        let live = Live::new(Aragora::default()).unwrap();
        let patched = live.patched(&json!({"shape": "real", "sockets": {"skip": {"every": 3}}})).unwrap();
        assert_eq!(
            (patched.settings.shape, patched.settings.sockets.skip),
            (Shape::Real, Some(When::Every(3)))
        );
        let back = patched.patched(&json!({"sockets": {"skip": null}})).unwrap();
        assert_eq!(back.settings.sockets.skip, None);
        for (patch, told) in [
            (json!({"enabled": false}), "fixed at the start"),
            (json!({"shape": "odd"}), "odd"),
            (json!({"sockets": {"dropCode": 1006}}), "aragora.sockets.dropCode"),
            (json!({"sockets": {"channelMs": 0}}), "aragora.sockets.channelMs"),
            (json!({"debates": {"outcomes": []}}), "aragora.debates.outcomes"),
            (json!({"debates": {"stuck": {"every": 0}}}), "aragora.debates.stuck"),
            (json!({"jobs": {"gauntletMs": -1}}), "aragora.jobs.gauntletMs"),
        ] {
            let error = live.patched(&patch).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
