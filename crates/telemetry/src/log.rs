//! Logs of our processes: to standard error as text or JSON, and to an OpenTelemetry receiver if there is one. What is logged can be changed
//! while the process runs (`admin.rs`).

use std::fmt;
use std::io::{IsTerminal as _, stderr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::otlp::Pipeline;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("neither text nor json".to_owned()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// A filter that cannot be used, or a log that cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Not a filter.
    #[error("`{0}` is no log filter: {1}; use e.g. info, or info,plimsoll_session=debug")]
    Filter(String, String),
    /// There is a log already.
    #[error("the log cannot be started: {0}")]
    Started(String),
}

/// What is logged now; copies change the same log.
#[derive(Clone, Debug)]
pub struct Level {
    handles: Vec<reload::Handle<EnvFilter, Registry>>,
    now: Arc<Mutex<String>>,
}

impl Level {
    /// The filter.
    #[must_use]
    pub fn get(&self) -> String {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it, from now on.
    ///
    /// # Errors
    /// If it is no filter; then nothing changes.
    pub fn set(&self, text: &str) -> Result<(), LogError> {
        let text = text.trim();
        let filters: Vec<EnvFilter> = self.handles.iter().map(|_| filter(text)).collect::<Result<_, _>>()?;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        for (handle, filter) in self.handles.iter().zip(filters) {
            handle.reload(filter).map_err(|error| LogError::Started(error.to_string()))?;
        }
        let before = std::mem::replace(&mut *now, text.to_owned());
        drop(now);
        tracing::info!(before, now = text, "the log filter was changed");
        Ok(())
    }
}

/// An empty filter would log nothing at all, which nobody who leaves it empty wants.
fn filter(text: &str) -> Result<EnvFilter, LogError> {
    let wrong = |why: String| LogError::Filter(text.to_owned(), why);
    if text.is_empty() {
        return Err(wrong("it is empty".to_owned()));
    }
    EnvFilter::try_new(text).map_err(|error| wrong(error.to_string()))
}

/// Starts the log of this process.
///
/// # Errors
/// If the filter cannot be used, or there is a log already.
pub fn start(text: &str, format: Format, otlp: Option<&Pipeline>) -> Result<Level, LogError> {
    let (local, local_handle) = reload::Layer::new(filter(text)?);
    let (sent, sent_handle) = reload::Layer::new(filter(text)?);
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => Box::new(lines.with_ansi(stderr().is_terminal()).with_filter(local)),
        Format::Json => Box::new(lines.json().flatten_event(true).with_filter(local)),
    };
    let mut layers = vec![lines];
    let mut handles = vec![local_handle];
    if let Some(otlp) = otlp {
        layers.extend(otlp.span_layer().map(Layer::boxed));
        if let Some(records) = otlp.log_layer() {
            layers.push(records.with_filter(sent).boxed());
            handles.push(sent_handle);
        }
    }
    tracing_subscriber::registry()
        .with(layers)
        .try_init()
        .map_err(|error| LogError::Started(error.to_string()))?;
    Ok(Level { handles, now: Arc::new(Mutex::new(text.to_owned())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_cannot_be_used_say_what_would_do() {
        for wrong in ["", "plimsoll=loud", "a=b=c"] {
            let error = filter(wrong).unwrap_err().to_string();
            assert!(error.contains("use e.g. info"), "{error}");
        }
        assert!(filter("info,plimsoll_session=debug").is_ok());
    }

    #[test]
    fn formats_are_words() {
        assert_eq!("json".parse(), Ok(Format::Json));
        assert_eq!("text".parse(), Ok(Format::default()));
        assert!("JSON".parse::<Format>().is_err());
        assert_eq!(Format::Json.to_string(), "json");
    }
}
