//! The NetworkPolicy that workers need where egress is closed by default; printed by `plimsoll render --network-policy`.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use plimsoll_api::v1alpha1::LoadTestSpec;
use plimsoll_plan::Plan;

use crate::names::{RUN_LABEL, TEST_LABEL};
use crate::pod::METRICS_PORT;
use crate::{OPERATOR_PORT, Settings};

/// Lets the workers of a test reach the operator, DNS, the target's port and that of the OpenTelemetry receiver; nothing may reach them but
/// for their metrics.
#[must_use]
pub fn network_policy(plan: &Plan, spec: &LoadTestSpec, settings: &Settings) -> NetworkPolicy {
    let port = settings.operator_address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let operator = NetworkPolicyEgressRule {
        to: Some(vec![NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(
                    "kubernetes.io/metadata.name".to_owned(),
                    settings.operator_namespace.clone(),
                )])),
                ..LabelSelector::default()
            }),
            pod_selector: Some(LabelSelector {
                match_labels: Some(settings.operator_labels.clone()),
                ..LabelSelector::default()
            }),
            ..NetworkPolicyPeer::default()
        }]),
        ports: Some(vec![tcp_or_udp("TCP", port.unwrap_or(OPERATOR_PORT))]),
    };
    let dns =
        NetworkPolicyEgressRule { to: None, ports: Some(vec![tcp_or_udp("UDP", 53), tcp_or_udp("TCP", 53)]) };
    let target = NetworkPolicyEgressRule { to: None, ports: Some(vec![tcp_or_udp("TCP", plan.target.port)]) };
    let otlp = spec.telemetry.as_ref().and_then(|telemetry| telemetry.otlp.as_ref());
    let otlp = otlp.and_then(|otlp| port_of(&otlp.endpoint)).filter(|port| *port != plan.target.port);
    let otlp =
        otlp.map(|port| NetworkPolicyEgressRule { to: None, ports: Some(vec![tcp_or_udp("TCP", port)]) });
    let metrics = NetworkPolicyIngressRule { from: None, ports: Some(vec![tcp_or_udp("TCP", METRICS_PORT)]) };
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(format!("{}-workers", plan.run.test)),
            namespace: Some(plan.run.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            labels: Some(BTreeMap::from([(TEST_LABEL.to_owned(), plan.run.test.clone())])),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(TEST_LABEL.to_owned(), plan.run.test.clone())])),
                match_expressions: Some(vec![LabelSelectorRequirement {
                    key: RUN_LABEL.into(),
                    operator: "Exists".into(),
                    values: None,
                }]),
            }),
            policy_types: Some(vec!["Ingress".into(), "Egress".into()]),
            egress: Some([operator, dns, target].into_iter().chain(otlp).collect()),
            ingress: Some(vec![metrics]),
        }),
    }
}

/// The port of an http or https URL.
fn port_of(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    port.map_or(Some(if scheme == "https" { 443 } else { 80 }), |port| port.parse().ok())
}

fn tcp_or_udp(protocol: &str, port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(i32::from(port))),
        end_port: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_urls() {
        for (url, port) in [
            ("http://c:4317", Some(4317)),
            ("https://c/v1", Some(443)),
            ("http://[::1]", Some(80)),
            ("http://[fd00::7]:9/x", Some(9)),
            ("c:4317", None),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }
}
