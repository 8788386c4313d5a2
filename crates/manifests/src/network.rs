//! The NetworkPolicy that workers need where egress is closed by default; printed by `plimsoll render --network-policy`.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use plimsoll_plan::Plan;

use crate::names::{RUN_LABEL, TEST_LABEL};
use crate::{OPERATOR_PORT, Settings};

/// Lets the workers of a test reach the operator, DNS, and the target's port; nothing may reach them.
#[must_use]
pub fn network_policy(plan: &Plan, settings: &Settings) -> NetworkPolicy {
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
            egress: Some(vec![operator, dns, target]),
            ingress: None,
        }),
    }
}

fn tcp_or_udp(protocol: &str, port: u16) -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Some(protocol.to_owned()),
        port: Some(IntOrString::Int(i32::from(port))),
        end_port: None,
    }
}
