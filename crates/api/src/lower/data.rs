//! Tables of variables: where their text is, and how it is read. What a table holds is seen by `plimsoll-scenario`.

use plimsoll_scenario::{Data, DataFormat, Pick, VarSource};

use super::error::Errors;
use crate::v1alpha1::{self as api, LoadTestSpec};

pub(super) fn lower(spec: &LoadTestSpec, errors: &mut Errors) -> Vec<Data> {
    let mut lowered = Vec::with_capacity(spec.data.len());
    for (i, data) in spec.data.iter().enumerate() {
        let at = format!("spec.data[{i}]");
        let Some(from) = source(data) else {
            errors.add(at, format!("{}: a table has either configMapKeyRef or inline", data.name));
            continue;
        };
        let Some(format) = format(data) else {
            let message = match &from {
                VarSource::ConfigMap { key, .. } => format!(
                    "required: the key {key:?} ends neither in .csv nor in .jsonl or .ndjson; set CSV or JSONLines"
                ),
                _ => "required, but missing: set CSV or JSONLines".to_owned(),
            };
            errors.add(format!("{at}.format"), message);
            continue;
        };
        let pick = data.pick.unwrap_or_default();
        if data.on_end.is_some() && pick != api::Pick::Sequential {
            let message =
                format!("rows picked {pick:?} never come to an end: remove onEnd, or pick Sequential");
            errors.add(format!("{at}.onEnd"), message);
        }
        lowered.push(Data {
            name: data.name.clone(),
            from,
            format,
            pick: match pick {
                api::Pick::Sequential => Pick::Sequential,
                api::Pick::Random => Pick::Random,
                api::Pick::PerUser => Pick::PerUser,
            },
            once: data.on_end == Some(api::OnEnd::EndUser),
        });
    }
    lowered
}

fn source(data: &api::Data) -> Option<VarSource> {
    match (&data.config_map_key_ref, &data.inline) {
        (Some(key), None) => Some(VarSource::ConfigMap { name: key.name.clone(), key: key.key.clone() }),
        (None, Some(text)) => Some(VarSource::Value(text.clone())),
        _ => None,
    }
}

/// How the text is written: as it is said, or by the end of the key.
fn format(data: &api::Data) -> Option<DataFormat> {
    let given = data.format.map(|format| match format {
        api::DataFormat::Csv => DataFormat::Csv,
        api::DataFormat::JsonLines => DataFormat::JsonLines,
    });
    let by_key = || {
        let (_, ending) = data.config_map_key_ref.as_ref()?.key.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Some(DataFormat::Csv),
            "jsonl" | "ndjson" => Some(DataFormat::JsonLines),
            _ => None,
        }
    };
    given.or_else(by_key)
}
