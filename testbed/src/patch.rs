//! JSON merge patches (RFC 7396): how a posted fault changes the one that is set (`fault.rs`), and how its settings
//! change the configured ones (`aragora/settings.rs`).

use serde_json::{Map, Value};

/// Changes a document by a patch: objects field by field, `null` removes a field, anything else replaces.
pub(crate) fn merge(document: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let Value::Object(fields) = document else { return };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_set_removed_and_left() {
        let mut document = json!({"a": {"b": 1, "c": 2}, "d": [1, 2]});
        merge(&mut document, &json!({"a": {"b": null, "e": {"f": 3}}, "d": [3], "g": null}));
        assert_eq!(document, json!({"a": {"c": 2, "e": {"f": 3}}, "d": [3]}));
        merge(&mut document, &json!(7));
        assert_eq!(document, json!(7));
    }
}
