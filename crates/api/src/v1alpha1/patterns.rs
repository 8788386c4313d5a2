//! Patterns of texts in the CRDs. `read/texts.rs` checks the same, and says what is wrong in words.

/// An http or https URL.
pub(crate) const URL: &str = r"^https?://[^/?#\s]+[^\s]*$";
/// An http or https URL without credentials, query and fragment.
pub(crate) const PLAIN_URL: &str = r"^https?://[^/?#@\s]+(/[^?#@\s]*)?$";
/// Name of a server in the operator's configuration.
pub(crate) const SERVER: &str = WINDOW;
/// A name in an expression.
pub(crate) const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// A key of a Secret or ConfigMap.
pub(crate) const KEY: &str = "^[-._a-zA-Z0-9]+$";
/// Name of a window.
pub(crate) const WINDOW: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Name of an SLO.
pub(crate) const SLO: &str = "^[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$";
/// An HTTP method.
pub(crate) const METHOD: &str = "^[A-Z]+$";
/// A path of a request.
pub(crate) const PATH: &str = r"^/[^\n\r]*$";
/// Kind of a workload.
pub(crate) const WORKLOAD: &str = "^(Deployment|StatefulSet|DaemonSet)$";
/// A Kubernetes quantity, such as 500m or 256Mi.
pub(crate) const QUANTITY: &str = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$";
