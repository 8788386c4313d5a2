//! Content negotiation: the best of what a scraper accepts, by its own weights.

/// A format of expositions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Length-delimited protobuf: classic and native histograms, created timestamps, exemplars.
    Protobuf,
    /// OpenMetrics 1.0: classic histograms, created timestamps, exemplars.
    OpenMetrics,
    /// Prometheus' text format 0.0.4: classic histograms.
    Text,
}

impl Format {
    /// The format that an `Accept` header wants most; text if it names none of ours.
    #[must_use]
    pub fn of(accept: &str) -> Self {
        let mut best = (Self::Text, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
            let parameter = |name: &str| {
                parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.trim())
            };
            let weight = parameter("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
            let format = match kind {
                "application/vnd.google.protobuf"
                    if parameter("proto") == Some("io.prometheus.client.MetricFamily")
                        && parameter("encoding") == Some("delimited") =>
                {
                    Self::Protobuf
                }
                "application/openmetrics-text"
                    if parameter("version").is_none_or(|version| version.starts_with("1.")) =>
                {
                    Self::OpenMetrics
                }
                "text/plain" => Self::Text,
                _ => continue,
            };
            // The first of equals is what a client wrote first.
            if weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    /// What the response says of itself.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_what_it_wants_most() {
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                      application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                      text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        assert_eq!(Format::of(native), Format::Protobuf);
        let open = "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;q=0.3";
        assert_eq!(Format::of(open), Format::OpenMetrics);
        assert_eq!(Format::of("text/html, application/xhtml+xml, */*;q=0.8"), Format::Text);
        assert_eq!(Format::of(""), Format::Text);
        assert_eq!(Format::of("application/openmetrics-text; version=0.0.1"), Format::Text);
        assert_eq!(Format::of("application/vnd.google.protobuf; proto=another.Message"), Format::Text);
        assert_eq!(
            Format::of("text/plain;q=0.9, application/openmetrics-text;q=nonsense"),
            Format::OpenMetrics
        );
    }
}
