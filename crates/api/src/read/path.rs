//! Paths of fields: `spec.slos[0].latency`, `metadata.annotations["a.b/c"]`, and `[name=p95]` for a member of a named list.

use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// A field of a map.
    Field(String),
    /// A member of a list.
    Index(usize),
    /// The member of a list of named things that has this name.
    Named(String),
}

/// The path of a field of the map at a displayed path.
pub(crate) fn field_path(map: &str, name: &str) -> String {
    let field = Path::default().field(name).to_string();
    if field.starts_with('[') { format!("{map}{field}") } else { format!("{map}.{field}") }
}

/// A way from the top of a document to a value in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Segment>);

impl Path {
    /// This path and a field.
    #[must_use]
    pub(super) fn field(&self, name: &str) -> Self {
        self.with(Segment::Field(name.to_owned()))
    }

    /// This path and a member.
    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// Reads a path as it is displayed.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let end = if inside.starts_with('"') {
                    inside.find("\"]").map(|at| at + 1)
                } else {
                    inside.find(']')
                };
                let end = end.ok_or_else(|| format!("{text:?} has a [ without a ]"))?;
                let (inner, tail) = (&inside[..end], &inside[end + 1..]);
                segments.push(bracket(inner).ok_or_else(|| {
                    format!("[{inner}] in {text:?} is not a place in a list, such as [0] or [name=p95]")
                })?);
                rest = tail;
            } else {
                let name = rest.strip_prefix('.').unwrap_or(rest);
                let end = name.find(['.', '[']).unwrap_or(name.len());
                if end == 0 {
                    return Err(format!("{text:?} is not a path such as spec.profile.users"));
                }
                segments.push(Segment::Field(name[..end].to_owned()));
                rest = &name[end..];
            }
        }
        if segments.is_empty() { Err("the path is empty".to_owned()) } else { Ok(Self(segments)) }
    }
}

fn bracket(inner: &str) -> Option<Segment> {
    if let Some(name) = inner.strip_prefix("name=") {
        return Some(Segment::Named(name.to_owned()));
    }
    if let Some(field) = inner.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
        return Some(Segment::Field(field.to_owned()));
    }
    inner.parse().ok().map(Segment::Index)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Field(name) if name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c)) => {
                    write!(f, "{}{name}", if at == 0 { "" } else { "." })?;
                }
                Segment::Field(name) => write!(f, "[\"{name}\"]")?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Named(name) => write!(f, "[name={name}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_shows() {
        for text in [
            "spec",
            "spec.slos[0].latency.atMost",
            "spec.slos[name=p95].disabled",
            "metadata.labels[\"a.b/c\"]",
        ] {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "spec..users", "spec.slos[x]", "spec.slos[0", "."] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }
}
