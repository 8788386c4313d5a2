//! Takes the values of secrets out of texts that are shown: examples of failures and traces. Made by `prepare.rs`.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use plimsoll_scenario::{Var, VarSource, Vars};

/// What stands in place of a secret.
const MASK: &str = "***";

/// What stands where a text was cut.
const CUT: char = '…';

/// A shorter beginning of a secret, in bytes, gives nothing away and would often be masked for nothing.
const BEGINNING: usize = 3;

/// Fewer bytes than this are not looked for in the middle of base64: much else has the same letters.
const GROUPS: usize = 6;

/// The secrets of a run, the longest first. Its `Debug` form shows none.
#[derive(Clone, Default)]
pub(crate) struct Redact {
    secrets: Vec<String>,
}

impl Redact {
    /// Knows the values of all variables that come from a Secret, as they are and as they stand in JSON, HTML, a path, a query, a form
    /// and in base64. What an expression makes of a secret in another way (`upperAscii`, `substring`) is not known.
    pub(crate) fn new(vars: &[Var], values: &Vars) -> Self {
        let secret = |var: &&Var| matches!(var.from, VarSource::Secret { .. });
        let values = vars.iter().filter(secret).filter_map(|var| values.get(&var.name));
        let mut secrets: Vec<String> =
            values.flat_map(|value| forms(value)).filter(|form| !form.is_empty()).collect();
        secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// The text without secrets; of one that was cut at its end, also without the beginning of a secret there.
    pub(crate) fn text(&self, text: String) -> String {
        let whole = self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASK) } else { text }
        });
        match whole.strip_suffix(CUT) {
            Some(kept) => format!("{}{CUT}", self.without_beginning(kept)),
            None => whole,
        }
    }

    /// Masks the longest end of the text that begins a secret.
    fn without_beginning(&self, text: &str) -> String {
        let starts = |secret: &String| {
            let ends = secret.char_indices().map(|(at, _)| at).filter(|at| *at >= BEGINNING);
            ends.filter(|at| text.ends_with(&secret[..*at])).max()
        };
        match self.secrets.iter().filter_map(starts).max() {
            Some(length) => format!("{}{MASK}", &text[..text.len() - length]),
            None => text.to_owned(),
        }
    }
}

impl std::fmt::Debug for Redact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redact").field("secrets", &self.secrets.len()).finish()
    }
}

/// How a secret may stand in what is sent and in what a target makes of it.
fn forms(value: &str) -> Vec<String> {
    // A Secret's value often ends in a line break that nothing of it needs; an excerpt is one line.
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut plain = vec![value.to_owned(), value.trim().to_owned(), line.trim().to_owned()];
    plain.sort_unstable();
    plain.dedup();
    plain.iter().flat_map(|value| encoded(value)).collect()
}

fn encoded(value: &str) -> Vec<String> {
    let json = json(value);
    let query = percent(value, b"");
    let small = query.split('%').enumerate().map(|(at, part)| match (at, part.split_at_checked(2)) {
        (1.., Some((hex, rest))) => format!("%{}{rest}", hex.to_ascii_lowercase()),
        _ => part.to_owned(),
    });
    let small: String = small.collect();
    let form = query.replace("%20", "+");
    let html = [('&', "&amp;"), ('"', "&quot;"), ('\'', "&#39;"), ('<', "&lt;"), ('>', "&gt;")];
    let html = html.iter().fold(value.to_owned(), |text, (from, to)| text.replace(*from, to));
    let in_base64 = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].into_iter().flat_map(|form| base64(value, &form));
    let mut all = vec![value.to_owned(), ascii(&json), json.replace('/', "\\/"), json];
    let escapes = [IN_TARGET, b"%"].concat();
    all.extend([percent(value, IN_TARGET), percent(value, &escapes), small, query, form, html]);
    all.extend(in_base64);
    all
}

/// Within the quotes of a JSON string.
fn json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

/// JSON that keeps to ASCII, as many encoders write it.
fn ascii(json: &str) -> String {
    let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    json.chars().map(|c| if c.is_ascii() { c.to_string() } else { escape(c) }).collect()
}

/// Alone, and in the middle of a longer text (`base64("user:" + password)`): whole groups of three bytes, wherever the first one begins.
fn base64(value: &str, form: &GeneralPurpose) -> Vec<String> {
    let bytes = value.as_bytes();
    let within = (0..3).filter_map(|skipped| {
        let rest = bytes.get(skipped..)?;
        let groups = &rest[..rest.len() / 3 * 3];
        (groups.len() >= GROUPS).then(|| form.encode(groups))
    });
    // Without padding it is found with and without.
    within.chain([form.encode(bytes)]).collect()
}

/// What a path or query keeps of a text, besides unreserved characters.
const IN_TARGET: &[u8] = b"/?:@!$&'()*+,;=[]";

/// Percent-encoded: all but unreserved characters (RFC 3986 §2.3) and those of `keep`.
fn percent(value: &str, keep: &[u8]) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.contains(&byte) {
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
        assert!(format!("{redact:?}").starts_with("Redact { secrets: "), "{redact:?}");
    }

    fn of(secret: &str) -> Redact {
        let vars = [Var { name: "s".into(), from: VarSource::Secret { name: "s".into(), key: "k".into() } }];
        Redact::new(&vars, &[("s".to_owned(), secret.to_owned())].into())
    }

    #[test]
    fn what_encoders_make_of_a_secret_is_masked() {
        let redact = of("S3cr\"t/p&wÄ+ z9q");
        for text in [
            "GET /echo/S3cr%22t/p&w%C3%84+%20z9q HTTP/1.1",
            "?q=S3cr%22t%2fp%26w%c3%84%2b%20z9q",
            "q=S3cr%22t%2Fp%26w%C3%84%2B+z9q",
            r#"{"x": "S3cr\"t/p&w\u00c4+ z9q"}"#,
            r#"{"x": "S3cr\"t\/p&wÄ+ z9q"}"#,
            "<p>S3cr&quot;t/p&amp;wÄ+ z9q</p>",
        ] {
            let masked = redact.text(text.to_owned());
            assert!(masked.contains("***") && !masked.contains("9q"), "{masked}");
        }
    }

    #[test]
    fn base64_of_more_than_a_secret_keeps_next_to_nothing_of_it() {
        let secret = "correct horse battery";
        for (before, after) in [("user:", ""), ("u:", "x"), ("", "?"), ("me:", "\n"), ("", "")] {
            for form in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                let masked = of(secret).text(form.encode(format!("{before}{secret}{after}")));
                let rest = masked.replace("***", "");
                let own = form.encode(format!("{before}{after}")).len();
                assert!(masked.contains("***") && rest.len() <= own + 8, "{masked}");
            }
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_on_one_line_too() {
        let redact = of("-----BEGIN\nabc\ndef\n-----END\n");
        assert_eq!(redact.text("status 500: -----BEGIN abc def -----END.".into()), "status 500: ***.");
        assert_eq!(of("token\n").text("Bearer token!".into()), "Bearer ***!");
    }

    #[test]
    fn the_beginning_of_a_secret_is_masked_where_a_text_was_cut() {
        let redact = of("S3cretÄ+z9q");
        assert_eq!(redact.text("status 500: xxxS3cretÄ+…".into()), "status 500: xxx***…");
        assert_eq!(redact.text("status 500: xxxS3cr…".into()), "status 500: xxx***…");
        assert_eq!(redact.text("status 500: xxxS3cr".into()), "status 500: xxxS3cr", "nothing was cut");
        assert_eq!(redact.text("status 500: xxx…".into()), "status 500: xxx…");
    }
}
