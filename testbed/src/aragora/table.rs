//! The paths of the Aragora endpoints: who may ask, and who answers. `docs/testbed.md` lists them for users.

use super::Call;
use super::{auth, debates, gauntlet, knowledge, metrics, open, pipeline, spectate};
use crate::reply::Reply;

/// Who may ask an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Whoever has a token, if tokens are required.
    Token,
    /// Whoever has a token, whether tokens are required or not.
    Bearer,
}

/// Answers a request; refusals are errors, so that a handler can leave early.
pub(crate) type Action = fn(&Call<'_>) -> Result<Reply, Reply>;

/// A path and its methods.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The path; `{…}` stands for any one part.
    pub(crate) pattern: &'static str,
    pub(crate) access: Access,
    pub(crate) methods: &'static [(&'static str, Action)],
}

const fn open(pattern: &'static str, methods: &'static [(&'static str, Action)]) -> Endpoint {
    Endpoint { pattern, access: Access::Open, methods }
}

const fn token(pattern: &'static str, methods: &'static [(&'static str, Action)]) -> Endpoint {
    Endpoint { pattern, access: Access::Token, methods }
}

const fn bearer(pattern: &'static str, methods: &'static [(&'static str, Action)]) -> Endpoint {
    Endpoint { pattern, access: Access::Bearer, methods }
}

const DEBATES: &[(&str, Action)] = &[("GET", debates::list), ("POST", debates::create)];
const NODE: &[(&str, Action)] =
    &[("GET", knowledge::read), ("PUT", knowledge::update), ("DELETE", knowledge::delete)];

/// All endpoints; of two patterns that match a path, the first is meant.
pub(crate) static TABLE: &[Endpoint] = &[
    open("/healthz", &[("GET", open::healthy)]),
    open("/livez", &[("GET", open::alive)]),
    open("/readyz", &[("GET", open::ready)]),
    open("/health/ready", &[("GET", open::ready)]),
    open("/health", &[("GET", open::health)]),
    open("/health/live", &[("GET", open::alive)]),
    open("/api/health", &[("GET", open::health)]),
    open("/api/health/detailed", &[("GET", open::detailed)]),
    open("/api/health/deep", &[("GET", open::detailed)]),
    open("/metrics", &[("GET", metrics::show)]),
    open("/api/capabilities", &[("GET", open::capabilities)]),
    token("/api/system/info", &[("GET", open::system)]),
    token("/api/slo/status", &[("GET", open::slo)]),
    token("/api/v1/slo/status", &[("GET", open::slo)]),
    token("/api/v1/slo/budget", &[("GET", open::slo)]),
    token("/api/v1/slos/status", &[("GET", open::slo)]),
    token("/api/v1/slos/targets", &[("GET", open::slo)]),
    token("/slo/budget", &[("GET", open::slo)]),
    token("/slos/status", &[("GET", open::slo)]),
    token("/slos/targets", &[("GET", open::slo)]),
    open("/api/leaderboard", &[("GET", open::leaderboard)]),
    open("/api/v1/leaderboard-view", &[("GET", open::leaderboard)]),
    open("/api/agents", &[("GET", open::agents)]),
    open("/api/v1/agents", &[("GET", open::agents)]),
    open("/api/agents/rankings", &[("GET", open::leaderboard)]),
    open("/api/v1/agents/rankings", &[("GET", open::leaderboard)]),
    open("/api/consensus", &[("GET", debates::consensus)]),
    open("/api/v1/consensus", &[("GET", debates::consensus)]),
    token("/api/debate", &[("POST", debates::create)]),
    token("/api/v1/debate", &[("POST", debates::create)]),
    token("/api/debates", DEBATES),
    token("/api/v1/debates", DEBATES),
    token("/api/debates/search", &[("GET", debates::search)]),
    token("/api/v1/debates/search", &[("GET", debates::search)]),
    token("/api/debates/{id}", &[("GET", debates::read)]),
    token("/api/v1/debates/{id}", &[("GET", debates::read)]),
    token("/api/debates/{id}/messages", &[("GET", debates::messages)]),
    token("/api/v1/debates/{id}/messages", &[("GET", debates::messages)]),
    token("/api/debates/{id}/spectate", &[("GET", spectate::debate)]),
    token("/api/v1/debates/{id}/spectate", &[("GET", spectate::debate)]),
    open("/api/auth/login", &[("POST", auth::login)]),
    open("/api/auth/refresh", &[("POST", auth::refresh)]),
    bearer("/api/auth/session", &[("GET", auth::session)]),
    bearer("/api/auth/logout", &[("POST", auth::logout)]),
    bearer("/api/auth/mfa/challenge", &[("POST", auth::challenge)]),
    open("/api/auth/mfa/verify", &[("POST", auth::verify)]),
    open("/api/auth/sso/{provider}/authorize", &[("GET", auth::sso)]),
    token("/api/knowledge/nodes", &[("POST", knowledge::create)]),
    token("/api/knowledge/nodes/{id}", NODE),
    token("/api/knowledge/search", &[("GET", knowledge::search)]),
    token("/api/knowledge/query", &[("POST", knowledge::query)]),
    token("/api/knowledge/federation/sync", &[("POST", knowledge::sync)]),
    token("/api/knowledge/federation/query", &[("POST", knowledge::federated)]),
    token("/api/knowledge/evidence/collect", &[("POST", knowledge::collect)]),
    token("/api/knowledge/evidence/{id}/validate", &[("POST", knowledge::validate)]),
    token("/api/gauntlet/run", &[("POST", gauntlet::run)]),
    token("/api/gauntlet/results", &[("GET", gauntlet::results)]),
    token("/api/gauntlet/{id}", &[("GET", gauntlet::read)]),
    token("/api/gauntlet/{id}/export", &[("GET", gauntlet::export)]),
    token("/api/v1/canvas/pipeline/from-ideas", &[("POST", pipeline::from_ideas)]),
    token("/api/v1/canvas/pipeline/run", &[("POST", pipeline::run)]),
    token("/api/v1/canvas/pipeline/extract-goals", &[("POST", pipeline::extract_goals)]),
    token("/api/v1/canvas/pipeline/{id}/status", &[("GET", pipeline::status)]),
    token("/api/v1/canvas/pipeline/{id}/graph", &[("GET", pipeline::graph)]),
    token("/api/v1/canvas/pipeline/{id}/receipt", &[("GET", pipeline::receipt)]),
];

impl Endpoint {
    fn matches(&self, path: &str) -> bool {
        matches(self.pattern, path)
    }

    /// The part of a path that the pattern leaves open; empty if it leaves none.
    pub(crate) fn id_in<'a>(&self, path: &'a str) -> &'a str {
        part_in(self.pattern, path)
    }
}

/// Whether a path is as a pattern says.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), parts.next()) {
            (None, None) => return true,
            (Some(open), Some(part)) if open.starts_with('{') => {
                if part.is_empty() {
                    return false;
                }
            }
            (Some(fixed), Some(part)) if fixed == part => {}
            _ => return false,
        }
    }
}

/// The part of a path that a pattern leaves open; empty if it leaves none.
pub(crate) fn part_in<'a>(pattern: &str, path: &'a str) -> &'a str {
    let mut pairs = pattern.split('/').zip(path.split('/'));
    pairs.find(|(open, _)| open.starts_with('{')).map_or("", |(_, part)| part)
}

/// The endpoint of a path.
pub(crate) fn find(path: &str) -> Option<&'static Endpoint> {
    TABLE.iter().find(|endpoint| endpoint.matches(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_patterns() {
        let found = |path| find(path).map(|endpoint| endpoint.pattern);
        assert_eq!(found("/api/debates/search"), Some("/api/debates/search"));
        assert_eq!(found("/api/debates/17"), Some("/api/debates/{id}"));
        assert_eq!(found("/api/gauntlet/17/export"), Some("/api/gauntlet/{id}/export"));
        for path in ["/api/debates/", "/api/debates/1/2", "/api", "/", "/api/knowledge/nodes/1/x"] {
            assert_eq!(found(path), None, "{path}");
        }
        let node = find("/api/knowledge/nodes/n-1").unwrap();
        assert_eq!(node.id_in("/api/knowledge/nodes/n-1"), "n-1");
        assert_eq!(find("/metrics").unwrap().id_in("/metrics"), "");
    }

    #[test]
    fn no_pattern_hides_another() {
        for endpoint in TABLE {
            assert_eq!(find(endpoint.pattern).map(|found| found.pattern), Some(endpoint.pattern));
        }
    }
}
