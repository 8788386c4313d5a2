//! Takes the values of secrets out of texts that are shown: examples of failures and traces. Made by `prepare.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use plimsoll_scenario::{Var, VarSource, Vars};

/// What stands in place of a secret.
const MASK: &str = "***";

/// The secrets of a run, the longest first. Its `Debug` form shows none.
#[derive(Clone, Default)]
pub(crate) struct Redact {
    secrets: Vec<String>,
}

impl Redact {
    /// Knows the values of all variables that come from a Secret, as they are and as they stand in JSON, in a query and in a header
    /// of basic authentication.
    pub(crate) fn new(vars: &[Var], values: &Vars) -> Self {
        let secret = |var: &&Var| matches!(var.from, VarSource::Secret { .. });
        let values = vars.iter().filter(secret).filter_map(|var| values.get(&var.name));
        let mut secrets: Vec<String> =
            values.flat_map(|value| forms(value)).filter(|form| !form.is_empty()).collect();
        secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// The text without secrets.
    pub(crate) fn text(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASK) } else { text }
        })
    }
}

impl std::fmt::Debug for Redact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redact").field("secrets", &self.secrets.len()).finish()
    }
}

fn forms(value: &str) -> [String; 4] {
    let json = serde_json::Value::from(value).to_string();
    let json = json.trim_matches('"').to_owned();
    // Without padding it is found with and without.
    [value.to_owned(), json, percent(value), STANDARD_NO_PAD.encode(value)]
}

/// As a value of a query is encoded: all but unreserved characters (RFC 3986 §2.3).
fn percent(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_in_all_their_forms_and_other_values_are_not() {
        let secret = VarSource::Secret { name: "s".into(), key: "k".into() };
        let vars = [
            Var { name: "password".into(), from: secret.clone() },
            Var { name: "empty".into(), from: secret },
            Var { name: "plain".into(), from: VarSource::Value("user".into()) },
        ];
        let values = [("password", "p\"w/1"), ("empty", ""), ("plain", "user")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let redact = Redact::new(&vars, &values);
        let masked = |text: &str| redact.text(text.to_owned());
        assert_eq!(masked("user p\"w/1!"), "user ***!");
        assert_eq!(masked(r#"{"password":"p\"w/1"}"#), r#"{"password":"***"}"#);
        assert_eq!(masked("?p=p%22w%2F1"), "?p=***");
        assert_eq!(masked("Basic cCJ3LzE="), "Basic ***=");
        assert_eq!(format!("{redact:?}"), "Redact { secrets: 4 }");
    }
}
