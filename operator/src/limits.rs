//! Safe-by-default limits of this operator: how much a run may be, and where it may go. Pure; asked by `reconcile/decide.rs`
//! before a run is accepted. A refusal names the figure, the limit and the remedy.

use std::net::IpAddr;
use std::time::Duration;

use plimsoll_measure::RATE_SECONDS;
use plimsoll_plan::Plan;
use plimsoll_slo::text;
use plimsoll_telemetry::query::is_metadata_address;

/// How much a run may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Most workers of a run.
    pub(crate) workers: u32,
    /// Most virtual users of a run.
    pub(crate) users: u64,
    /// Most arrivals per second of a run.
    pub(crate) rate: u64,
    /// Longest planned duration of a run.
    pub(crate) duration: Duration,
    /// Most runs of a namespace at once; more wait.
    pub(crate) runs_per_namespace: u32,
    /// Whether any target may be loaded, but for those of [`Denial::Metadata`].
    pub(crate) public_targets: bool,
    /// Hosts that may be loaded although they are public: names, `*.example.com`, addresses.
    pub(crate) allowed_hosts: Vec<String>,
    /// Whether tests may ask a Prometheus by a URL of their own.
    pub(crate) prometheus_urls: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            workers: 50,
            users: 20_000,
            rate: 100_000,
            duration: Duration::from_secs(4 * 3600),
            runs_per_namespace: 4,
            public_targets: false,
            allowed_hosts: Vec::new(),
            prometheus_urls: false,
        }
    }
}

/// Why a run is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denial {
    /// A figure is over its limit.
    #[error(
        "{field} is {asked}, this cluster's operator allows {allowed}: lower it, or have {value} raised in the operator's chart"
    )]
    Over {
        /// Field of the LoadTest.
        field: &'static str,
        /// What it comes to.
        asked: String,
        /// What is allowed.
        allowed: String,
        /// The chart value.
        value: &'static str,
    },
    /// The target is not known to be the cluster's own.
    #[error(
        "spec.target.url: {host} is not known to be inside this cluster, and this operator loads no public targets: use the service's name \
         ({hint}), or have {host} added to limits.allowedHosts, or limits.allowPublicTargets set, in the operator's chart"
    )]
    Public {
        /// Its host.
        host: String,
        /// What the name of a service looks like.
        hint: String,
    },
    /// The target hands out the credentials of a node, or is one link's own.
    #[error(
        "spec.target.url: {host} is a link-local address or a cloud's metadata service, which nobody means to load: use another target, \
         or have {host} added to limits.allowedHosts in the operator's chart"
    )]
    Metadata {
        /// Its host.
        host: String,
    },
}

/// Whether a plan keeps within the limits. `namespaces` answers whether a namespace of that name exists, for `service.namespace`.
///
/// # Errors
/// The first limit that is broken.
pub(crate) fn check(plan: &Plan, limits: &Limits, namespaces: impl Fn(&str) -> bool) -> Result<(), Denial> {
    let over =
        |field, asked: String, allowed: String, value| Err(Denial::Over { field, asked, allowed, value });
    if plan.workers > limits.workers {
        return over(
            "spec.workers.count",
            plan.workers.to_string(),
            limits.workers.to_string(),
            "limits.maxWorkers",
        );
    }
    let (users, rate) = (plan.peak_users(), plan.peak_rate());
    if users > limits.users {
        let (asked, allowed) = (users.to_string(), limits.users.to_string());
        return over("the peak of spec.profile.users", asked, allowed, "limits.maxUsers");
    }
    if rate > limits.rate.saturating_mul(RATE_SECONDS) {
        let (asked, allowed) = (text::rate_exact(rate), format!("{}/s", limits.rate));
        return over("the peak of spec.profile.arrivals.rate", asked, allowed, "limits.maxRate");
    }
    let duration = Duration::from_nanos(plan.duration);
    if duration > limits.duration {
        let (asked, allowed) =
            (format!("{}s", duration.as_secs()), format!("{}s", limits.duration.as_secs()));
        return over("the duration of spec.profile", asked, allowed, "limits.maxDuration");
    }
    check_host(&plan.target.host, &plan.run.namespace, limits, namespaces)
}

fn check_host(
    host: &str,
    namespace: &str,
    limits: &Limits,
    namespaces: impl Fn(&str) -> bool,
) -> Result<(), Denial> {
    if is_listed(host, &limits.allowed_hosts) {
        return Ok(());
    }
    if is_metadata(host) {
        return Err(Denial::Metadata { host: host.to_owned() });
    }
    if limits.public_targets || is_inside(host, &namespaces) {
        return Ok(());
    }
    Err(Denial::Public { host: host.to_owned(), hint: format!("name.{namespace}.svc") })
}

/// The second label of `service.namespace`: the namespace to look up before [`check`] can decide.
#[must_use]
pub(crate) fn namespace_to_ask(host: &str) -> Option<&str> {
    let mut labels = host.trim_end_matches('.').split('.');
    match (labels.next(), labels.next(), labels.next()) {
        (Some(_), Some(namespace), None) if host.parse::<IpAddr>().is_err() => Some(namespace),
        _ => None,
    }
}

/// Names that only a cluster or a private network resolves, and addresses that are routed nowhere else.
fn is_inside(host: &str, namespaces: &impl Fn(&str) -> bool) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_private(address);
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if !host.contains('.') {
        return true;
    }
    let private = [".svc", ".cluster.local", ".local", ".internal", ".localhost", ".home.arpa"];
    private.iter().any(|suffix| host.ends_with(suffix)) || namespace_to_ask(&host).is_some_and(namespaces)
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // 100.64.0.0/10 is the provider-side private range, which some clusters use for pods.
            v4.is_private() || v4.is_loopback() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private(IpAddr::V4(v4)),
            None => v6.is_loopback() || v6.is_unique_local(),
        },
    }
}

/// Where clouds tell a node who it is and hand out its credentials, and whatever else is link-local.
fn is_metadata(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_metadata_address(address);
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let (first, rest) = host.split_once('.').unwrap_or((&host, ""));
    // One label too: the resolver of a cloud's node appends the rest.
    matches!(first, "metadata" | "instance-data") && (rest.is_empty() || host.ends_with(".internal"))
}

fn is_listed(host: &str, allowed: &[String]) -> bool {
    let host = host.trim_end_matches('.');
    allowed.iter().any(|pattern| match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host.eq_ignore_ascii_case(pattern),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_is_told_by_name_and_address() {
        let namespaces = |name: &str| name == "shop";
        for host in [
            "checkout",
            "checkout.shop",
            "checkout.shop.svc",
            "checkout.shop.svc.cluster.local",
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "shop.example.internal",
            "checkout.shop.svc.",
        ] {
            assert!(is_inside(host, &namespaces), "{host}");
        }
        for host in [
            "example.com",
            "checkout.other",
            "8.8.8.8",
            "100.128.0.1",
            "2001:db8::1",
            "a.shop.com",
            "172.32.0.1",
            "::ffff:8.8.8.8",
        ] {
            assert!(!is_inside(host, &namespaces), "{host}");
        }
    }

    #[test]
    fn metadata_and_link_local_targets_are_refused_unless_they_are_listed() {
        let namespaces = |name: &str| name == "shop";
        let anything = Limits { public_targets: true, ..Limits::default() };
        for host in [
            "169.254.169.254",
            "169.254.1.1",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "metadata",
            "Metadata.google.internal.",
            "instance-data.ec2.internal",
        ] {
            let denied = Denial::Metadata { host: host.to_owned() };
            assert_eq!(check_host(host, "shop", &anything, namespaces), Err(denied), "{host}");
        }
        for host in ["metadata.shop", "metadata.shop.svc", "metadata-api", "shop.example.internal"] {
            assert_eq!(check_host(host, "shop", &Limits::default(), namespaces), Ok(()), "{host}");
        }
        let listed = Limits { allowed_hosts: vec!["169.254.169.254".to_owned()], ..Limits::default() };
        assert_eq!(check_host("169.254.169.254", "shop", &listed, namespaces), Ok(()));
    }

    #[test]
    fn hosts_are_listed_by_name_or_domain() {
        let allowed = ["api.example.com".to_owned(), "*.example.org".to_owned()];
        assert!(is_listed("API.example.com", &allowed));
        assert!(is_listed("a.b.example.org", &allowed));
        for host in ["example.org", "evilexample.org", "example.com", ".example.org"] {
            assert!(!is_listed(host, &allowed), "{host}");
        }
    }

    #[test]
    fn only_two_labels_name_a_namespace() {
        assert_eq!(namespace_to_ask("checkout.shop"), Some("shop"));
        assert_eq!(namespace_to_ask("checkout.shop.svc"), None);
        assert_eq!(namespace_to_ask("10.0"), Some("0"));
        assert_eq!(namespace_to_ask("checkout"), None);
    }
}
