//! What the cluster's operator decides for all runs. Filled by `operator/src/config.rs`, and by `plimsoll render` with its defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Port of the operator's worker sessions.
pub const OPERATOR_PORT: u16 = 7446;

/// What the cluster's operator decides for all runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Image of the worker.
    pub worker_image: String,
    /// `Always`, `IfNotPresent` or `Never`.
    pub pull_policy: String,
    /// Secrets, in the run's namespace, that the image is pulled with.
    pub pull_secrets: Vec<String>,
    /// Where workers reach the operator: `host:port`.
    pub operator_address: String,
    /// Name that the operator's certificate is issued for.
    pub operator_name: String,
    /// Certificate of the authority that issued it, PEM.
    pub operator_ca_pem: String,
    /// Namespace of the operator, for network policies.
    pub operator_namespace: String,
    /// Labels of the operator's pods, for network policies.
    pub operator_labels: BTreeMap<String, String>,
    /// Annotations on worker pods by which a Prometheus finds their metrics.
    pub scrape_annotations: bool,
    /// Resources of workers whose test names none.
    pub resources: ResourceRequirements,
    /// How long after the planned end of a run its workers may go on waiting for the outcome to be stored.
    pub linger: Duration,
    /// Address of the Grafana that shows runs.
    pub grafana: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        let request = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
        Self {
            worker_image: concat!("plimsoll-worker:", env!("CARGO_PKG_VERSION")).into(),
            pull_policy: "IfNotPresent".into(),
            pull_secrets: Vec::new(),
            operator_address: format!("plimsoll-operator.plimsoll-system.svc:{OPERATOR_PORT}"),
            operator_name: "plimsoll-operator.plimsoll-system.svc".into(),
            operator_ca_pem: String::new(),
            operator_namespace: "plimsoll-system".into(),
            operator_labels: BTreeMap::from([("app.kubernetes.io/name".into(), "plimsoll".into())]),
            scrape_annotations: false,
            resources: ResourceRequirements {
                requests: Some(BTreeMap::from([request("cpu", "100m"), request("memory", "64Mi")])),
                ..ResourceRequirements::default()
            },
            // Workers wait ten minutes for the outcome to be stored; a little more, so that they end by themselves.
            linger: Duration::from_secs(11 * 60),
            grafana: None,
        }
    }
}
