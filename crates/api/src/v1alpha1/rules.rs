//! Schema fragments that the derive cannot say: CEL rules, list and map kinds. Used in attributes of the sibling files.

use serde_json::{Value, json};

/// `x-kubernetes-validations` of a list of (rule, message).
pub(super) fn rules(rules: &[(&str, &str)]) -> Value {
    rules.iter().map(|(rule, message)| json!({"rule": rule, "message": message})).collect()
}

/// A rule whose message is itself an expression, with a fixed message should that fail.
pub(super) fn speaking_rule(rule: &str, message: &str, expression: &str) -> Value {
    json!({"rule": rule, "message": message, "messageExpression": expression})
}

/// Schema of any JSON value.
pub(super) fn any_json(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// Schema of an object whose fields are checked elsewhere.
pub(super) fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// An enum of words: the field says what they mean, so that its description is not replaced by that of the type.
pub(super) fn words(schema: &mut schemars::Schema) {
    let variants = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .map(|variants| variants.iter().filter_map(|v| v.get("const").cloned()).collect::<Vec<_>>());
    if let Some(words) = variants {
        *schema = schemars::json_schema!({"type": "string", "enum": words});
    }
    schema.remove("description");
}

/// The same schema without CEL rules: where so many values may stand that the rules would cost too much. `lower` checks the same.
pub(super) fn without_rules(schema: &mut schemars::Schema) {
    schema.remove("x-kubernetes-validations");
}

/// Schema of at most 32 expressions by name.
pub(super) fn expressions(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 4096}
    })
}

/// Schema of at most 64 texts by name.
pub(super) fn texts(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 8192}
    })
}
