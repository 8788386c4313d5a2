//! Rate limits: token buckets for each client, token or for all, and the headers that tell of them. `plan.rs` asks
//! before it lets a request be answered; the limits stand in the configuration or in a fault (`fault.rs`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::reply::Reply;
use crate::request::Incoming;

/// What a client is told to wait for a bucket that never fills again, in seconds.
const NEVER: u64 = 60;

/// Buckets at once over all limits; with more the full ones, which remember nothing, are forgotten.
const MAX_BUCKETS: usize = 100_000;

/// A rate limit on the requests that it covers. Of several limits the first that covers a request counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limit {
    /// The beginning of the paths, or a pattern such as `/api/debates/{id}`; all paths if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether `path` is the whole path or pattern, not its beginning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// The method; all if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Tokens that come back in a second; 0 means none, so that exactly `burst` requests pass.
    pub rate: f64,
    /// Tokens of a full bucket.
    pub burst: u32,
    /// Who has a bucket of its own.
    pub by: By,
}

/// Who has a bucket of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum By {
    /// Every client address.
    #[default]
    Ip,
    /// Every bearer token; requests without one count by their address.
    Token,
    /// Nobody: one bucket for all requests.
    All,
}

/// Whether a scope of path, exactness and method covers a request; `name` is the path or its pattern.
pub(crate) fn covers(
    (path, exact, method): (Option<&str>, bool, Option<&str>),
    request: (&str, &str),
    name: &str,
) -> bool {
    let (asked, by) = request;
    let on_path =
        path.is_none_or(|path| name == path || asked == path || (!exact && asked.starts_with(path)));
    on_path && method.is_none_or(|method| method.eq_ignore_ascii_case(by))
}

/// What a limit says of a request that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    limit: u32,
    remaining: u32,
    /// Seconds until a token is there again, at least 1.
    retry_after: u64,
    /// Seconds until the bucket is full.
    full_in: u64,
}

impl Verdict {
    /// The reply with the headers that tell of the limit.
    pub(crate) fn tell(self, reply: Reply) -> Reply {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let headers = [
            ("x-ratelimit-limit", u64::from(self.limit)),
            ("x-ratelimit-remaining", u64::from(self.remaining)),
            ("x-ratelimit-reset", unix + self.full_in),
            ("retry-after", self.retry_after),
        ];
        let told = if self.allowed { &headers[..3] } else { &headers[..] };
        reply.with_numbers(told)
    }

    /// The answer to a request that is one too many.
    pub(crate) fn refusal(self) -> Reply {
        let error = json!({
            "error": "rate limit exceeded",
            "code": "rate_limit_exceeded",
            "retry_after": self.retry_after,
        });
        self.tell(Reply::json(StatusCode::TOO_MANY_REQUESTS, &error))
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Limits with their buckets.
#[derive(Debug)]
pub(crate) struct Limiter {
    pub(crate) limits: Vec<Limit>,
    buckets: Mutex<HashMap<(usize, String), Bucket>>,
}

impl Limiter {
    /// Full buckets. The error names the limit that makes no sense.
    pub(crate) fn new(limits: &[Limit]) -> Result<Self, String> {
        for (i, limit) in limits.iter().enumerate() {
            if !(0.0..=1e9).contains(&limit.rate) {
                return Err(format!("[{i}].rate: {} is no rate; use 0 to 1e9 tokens per second", limit.rate));
            }
            if limit.rate == 0.0 && limit.burst == 0 {
                return Err(format!(
                    "[{i}]: a rate and a burst of 0 let nothing pass; use a fault's status 429"
                ));
            }
        }
        Ok(Limiter { limits: limits.to_vec(), buckets: Mutex::default() })
    }

    /// Takes a token for the request from the bucket of the first limit that covers it; nothing without one.
    pub(crate) fn take(&self, request: &Incoming<'_>, name: &str) -> Option<Verdict> {
        let asked = (request.path, request.method.as_str());
        let scope = |limit: &Limit| {
            covers((limit.path.as_deref(), limit.exact, limit.method.as_deref()), asked, name)
        };
        let (index, limit) = self.limits.iter().enumerate().find(|(_, limit)| scope(limit))?;
        let key = match limit.by {
            By::All => String::new(),
            By::Ip => request.peer.to_string(),
            By::Token => request.bearer().unwrap_or_else(|| request.peer.to_string()),
        };
        Some(self.draw(limit, (index, key), request.at))
    }

    fn draw(&self, limit: &Limit, key: (usize, String), now: Instant) -> Verdict {
        let full = f64::from(limit.burst).max(if limit.rate > 0.0 { 1.0 } else { 0.0 });
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_BUCKETS {
            let limits = &self.limits;
            buckets.retain(|(i, _), bucket| {
                let age = now.saturating_duration_since(bucket.at).as_secs_f64();
                limits.get(*i).is_some_and(|own| bucket.tokens + age * own.rate < f64::from(own.burst))
            });
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: full, at: now });
        let age = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + age * limit.rate).min(full);
        bucket.at = bucket.at.max(now);
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        let seconds = |tokens: f64| match limit.rate {
            0.0 => NEVER,
            rate => (tokens / rate).ceil() as u64,
        };
        Verdict {
            allowed,
            limit: full as u32,
            remaining: bucket.tokens as u32,
            retry_after: seconds(1.0 - bucket.tokens.min(1.0)).max(1),
            full_in: seconds(full - bucket.tokens),
        }
    }

    /// Fills all buckets.
    pub(crate) fn refill(&self) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The time of one token, for messages on a socket (`websocket/talk.rs`), which have buckets of their own.
#[derive(Debug)]
pub(crate) struct Drip {
    bucket: Option<Bucket>,
}

impl Drip {
    pub(crate) const FULL: Drip = Drip { bucket: None };

    /// Takes a token from a bucket with this rate and size.
    pub(crate) fn take(&mut self, rate: f64, burst: u32, now: Instant) -> bool {
        let full = f64::from(burst).max(1.0);
        let bucket = self.bucket.get_or_insert(Bucket { tokens: full, at: now });
        let age: Duration = now.saturating_duration_since(bucket.at);
        *bucket = Bucket { tokens: (bucket.tokens + age.as_secs_f64() * rate).min(full), at: now };
        let allowed = bucket.tokens >= 1.0;
        if allowed {
            bucket.tokens -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(limiter: &Limiter, times: &[u64]) -> Vec<(bool, u32, u64)> {
        let start = Instant::now();
        let one = |ms: &u64| {
            let key = (0, "a".to_owned());
            let verdict = limiter.draw(&limiter.limits[0], key, start + Duration::from_millis(*ms));
            (verdict.allowed, verdict.remaining, verdict.retry_after)
        };
        times.iter().map(one).collect()
    }

    #[test]
    fn a_bucket_lets_its_burst_pass_and_fills_at_its_rate() {
        let limiter = Limiter::new(&[Limit { rate: 2.0, burst: 2, ..Limit::default() }]).unwrap();
        let got = verdicts(&limiter, &[0, 0, 0, 499, 500, 501, 10_000]);
        let allowed: Vec<bool> = got.iter().map(|verdict| verdict.0).collect();
        assert_eq!(allowed, [true, true, false, false, true, false, true]);
        assert_eq!((got[0].1, got[1].1, got[2].2, got[6].1), (1, 0, 1, 1));
    }

    #[test]
    fn without_a_rate_exactly_the_burst_passes() {
        let limiter = Limiter::new(&[Limit { burst: 3, ..Limit::default() }]).unwrap();
        let times: Vec<u64> = (0..10).map(|i| i * 100_000).collect();
        assert_eq!(verdicts(&limiter, &times).iter().filter(|verdict| verdict.0).count(), 3);
        limiter.refill();
        assert!(verdicts(&limiter, &[0])[0].0);
        assert!(Limiter::new(&[Limit::default()]).is_err());
        assert!(Limiter::new(&[Limit { rate: f64::NAN, ..Limit::default() }]).is_err());
    }

    #[test]
    fn scopes_are_prefixes_patterns_and_methods() {
        let asked = ("/api/debates/17", "GET");
        let name = "/api/debates/{id}";
        assert!(covers((None, false, None), asked, name));
        assert!(covers((Some("/api/deb"), false, Some("get")), asked, name));
        assert!(covers((Some("/api/debates/{id}"), true, None), asked, name));
        assert!(!covers((Some("/api/debates"), true, None), asked, name));
        assert!(!covers((Some("/api"), false, Some("POST")), asked, name));
    }
}
