//! Merges the user's `workers.template` over our pod template (`pod.rs`).
//!
//! Precedence: the user's value wins, field by field; lists of named things are merged by their key, other lists replaced, `null`
//! removes a field. What the run could not work without is refused, with the path: `ours`.

use serde_json::{Map, Value};

use crate::BuildError;
use crate::names::{CONTAINER, VOLUME_PREFIX};

/// Merges `theirs` over `ours`.
///
/// # Errors
/// If `theirs` sets what is the operator's, or a list entry lacks its key.
pub(crate) fn merge(ours: &mut Value, theirs: &Value) -> Result<(), BuildError> {
    refuse(theirs)?;
    over(ours, theirs, "", "")
}

/// The field by which entries of a list are told apart, as in Kubernetes' own strategic merge.
fn key_of(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "ports" => Some("containerPort"),
        "hostAliases" => Some("ip"),
        _ => None,
    }
}

fn over(ours: &mut Value, theirs: &Value, path: &str, field: &str) -> Result<(), BuildError> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => over_map(ours, theirs, path),
        (Value::Array(ours), Value::Array(theirs)) if key_of(field).is_some() => {
            over_list(ours, theirs, path, key_of(field).unwrap_or("name"))
        }
        (ours, theirs) => {
            *ours = theirs.clone();
            Ok(())
        }
    }
}

fn over_map(
    ours: &mut Map<String, Value>,
    theirs: &Map<String, Value>,
    path: &str,
) -> Result<(), BuildError> {
    for (field, value) in theirs {
        let below = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
        match ours.get_mut(field) {
            _ if value.is_null() => drop(ours.remove(field)),
            Some(mine) => over(mine, value, &below, field)?,
            None => drop(ours.insert(field.clone(), value.clone())),
        }
    }
    Ok(())
}

fn over_list(ours: &mut Vec<Value>, theirs: &[Value], path: &str, key: &str) -> Result<(), BuildError> {
    for (index, entry) in theirs.iter().enumerate() {
        let below = format!("{path}[{index}]");
        let name = entry.get(key).filter(|name| !name.is_null());
        let Some(name) = name else {
            return Err(refused(below, format!("{key} is missing; entries of this list are merged by it")));
        };
        match ours.iter_mut().find(|mine| mine.get(key) == Some(name)) {
            Some(mine) => over(mine, entry, &below, "")?,
            None => ours.push(entry.clone()),
        }
    }
    Ok(())
}

fn refused(path: impl Into<String>, why: impl Into<String>) -> BuildError {
    BuildError::Template { path: path.into(), why: why.into() }
}

/// What a run cannot work without.
fn refuse(theirs: &Value) -> Result<(), BuildError> {
    if !theirs.is_object() {
        return Err(refused("", "must be a pod template: an object with metadata and spec"));
    }
    let labels = theirs.pointer("/metadata/labels").and_then(Value::as_object);
    if let Some(label) =
        labels.into_iter().flatten().map(|(key, _)| key).find(|key| key.starts_with("plimsoll.dev/"))
    {
        return Err(refused(
            format!("metadata.labels.{label}"),
            "labels of plimsoll.dev are set by the operator; leave it out",
        ));
    }
    let spec = &theirs["spec"];
    if spec.get("restartPolicy").is_some_and(|policy| policy != "Never") {
        return Err(refused(
            "spec.restartPolicy",
            "must be Never: a restarted worker would repeat its load; leave it out",
        ));
    }
    for (index, volume) in list(spec, "volumes").enumerate() {
        if volume["name"].as_str().is_some_and(|name| name.starts_with(VOLUME_PREFIX)) {
            return Err(refused(
                format!("spec.volumes[{index}].name"),
                format!("names beginning with {VOLUME_PREFIX} are the operator's; choose another"),
            ));
        }
    }
    match list(spec, "containers").enumerate().find(|(_, container)| container["name"] == CONTAINER) {
        Some((index, worker)) => refuse_worker(index, worker),
        None => Ok(()),
    }
}

fn refuse_worker(index: usize, worker: &Value) -> Result<(), BuildError> {
    let path = format!("spec.containers[{index}]");
    for field in ["command", "args", "terminationMessagePath"] {
        if worker.get(field).is_some() {
            return Err(refused(
                format!("{path}.{field}"),
                "is the operator's in the container \"worker\"; leave it out",
            ));
        }
    }
    for (at, entry) in list(worker, "env").enumerate() {
        let name = entry["name"].as_str().unwrap_or_default();
        // How and how much a worker logs is the user's choice.
        let free = matches!(name, "PLIMSOLL_LOG" | "PLIMSOLL_LOG_FORMAT");
        if (name.starts_with("PLIMSOLL_") && !free) || matches!(name, "POD_UID" | "JOB_COMPLETION_INDEX") {
            return Err(refused(
                format!("{path}.env[{at}].name"),
                format!("{name} is set by the operator; leave it out"),
            ));
        }
    }
    for (at, mount) in list(worker, "volumeMounts").enumerate() {
        let target = mount["mountPath"].as_str().unwrap_or_default();
        if ["/etc/plimsoll", "/var/run/secrets/plimsoll"].iter().any(|ours| target.starts_with(ours)) {
            return Err(refused(
                format!("{path}.volumeMounts[{at}].mountPath"),
                format!("{target} is the operator's; mount it elsewhere"),
            ));
        }
    }
    Ok(())
}

fn list<'a>(parent: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    parent.get(field).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn base() -> Value {
        json!({"metadata": {"labels": {"plimsoll.dev/run": "a"}}, "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "worker", "image": "w", "env": [{"name": "POD_UID", "value": "u"}]}],
            "volumes": [{"name": "plimsoll-plan"}],
        }})
    }

    #[test]
    fn the_users_fields_win_and_lists_merge_by_name() {
        let mut ours = base();
        let theirs = json!({"metadata": {"labels": {"team": "shop"}, "annotations": {"a": "b"}}, "spec": {
            "tolerations": [{"key": "loadgen", "operator": "Exists"}],
            "securityContext": {"runAsUser": 1000, "seccompProfile": null},
            "containers": [{"name": "worker", "image": "mine", "env": [{"name": "GODEBUG", "value": "1"}]}, {"name": "side"}],
            "futureField": {"kept": true},
        }});
        merge(&mut ours, &theirs).unwrap();
        assert_eq!(
            ours,
            json!({
                "metadata": {"labels": {"plimsoll.dev/run": "a", "team": "shop"}, "annotations": {"a": "b"}},
                "spec": {
                    "restartPolicy": "Never",
                    "securityContext": {"runAsNonRoot": true, "runAsUser": 1000},
                    "containers": [
                        {"name": "worker", "image": "mine",
                         "env": [{"name": "POD_UID", "value": "u"}, {"name": "GODEBUG", "value": "1"}]},
                        {"name": "side"},
                    ],
                    "volumes": [{"name": "plimsoll-plan"}],
                    "tolerations": [{"key": "loadgen", "operator": "Exists"}],
                    "futureField": {"kept": true},
                },
            })
        );
    }

    #[test]
    fn what_is_the_operators_is_refused_with_its_path() {
        let cases = [
            (
                json!({"metadata": {"labels": {"plimsoll.dev/run": "x"}}}),
                "metadata.labels.plimsoll.dev/run: ",
            ),
            (json!({"spec": {"restartPolicy": "Always"}}), "spec.restartPolicy: "),
            (json!({"spec": {"volumes": [{"name": "plimsoll-x"}]}}), "spec.volumes[0].name: "),
            (
                json!({"spec": {"containers": [{"name": "worker", "command": ["sh"]}]}}),
                "spec.containers[0].command: ",
            ),
            (
                json!({"spec": {"containers": [{"name": "s"}, {"name": "worker", "env": [{"name": "PLIMSOLL_OPERATOR"}]}]}}),
                "spec.containers[1].env[0].name: PLIMSOLL_OPERATOR",
            ),
            (
                json!({"spec": {"containers": [{"name": "worker", "volumeMounts": [{"mountPath": "/etc/plimsoll/plan"}]}]}}),
                "spec.containers[0].volumeMounts[0].mountPath: ",
            ),
            (json!({"spec": {"containers": [{"image": "x"}]}}), "spec.containers[0]: name is missing"),
            (json!("nonsense"), ": must be a pod template"),
        ];
        for (theirs, expected) in cases {
            let error = merge(&mut base(), &theirs).unwrap_err().to_string();
            assert!(error.starts_with("spec.workers.template."), "{error}");
            assert!(error.contains(expected), "{error}: {expected}");
        }
    }

    #[test]
    fn the_log_level_is_the_users_choice() {
        let theirs = json!({"spec": {"containers": [{"name": "worker", "env": [{"name": "PLIMSOLL_LOG", "value": "debug"}]}]}});
        merge(&mut base(), &theirs).unwrap();
    }
}
