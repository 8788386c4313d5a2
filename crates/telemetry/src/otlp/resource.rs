//! Who sends: the attributes of the resource, from what a process knows of itself and the standard variables. Sent by `pipeline.rs`.

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as ProtoKeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_sdk::Resource as SdkResource;

use super::settings::{SettingsError, pairs};

/// Variables that Kubernetes fills (`crates/manifests/src/pod.rs`, the chart's Deployment), and the attribute that each becomes.
const KUBERNETES: [(&str, &str); 4] = [
    ("POD_NAMESPACE", "k8s.namespace.name"),
    ("POD_NAME", "k8s.pod.name"),
    ("POD_UID", "k8s.pod.uid"),
    ("NODE_NAME", "k8s.node.name"),
];

/// The attributes of a resource, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    attributes: std::collections::BTreeMap<String, String>,
}

impl Resource {
    /// A service's resource. What the variables OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say goes over what is known here.
    ///
    /// # Errors
    /// If OTEL_RESOURCE_ATTRIBUTES is no list of `name=value`.
    pub fn of(
        service: &str,
        instance: &str,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut resource = Self::default();
        resource.set("service.name", service);
        resource.set("service.version", env!("CARGO_PKG_VERSION"));
        resource.set("service.instance.id", instance);
        for (name, attribute) in KUBERNETES {
            get(name).into_iter().for_each(|value| resource.set(attribute, &value));
        }
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        for (key, value) in get(name).map(|text| pairs(name, &text, false)).transpose()?.unwrap_or_default() {
            resource.set(&key, &value);
        }
        get("OTEL_SERVICE_NAME").into_iter().for_each(|value| resource.set("service.name", &value));
        Ok(resource)
    }

    /// Adds or replaces an attribute.
    pub fn set(&mut self, name: &str, value: &str) {
        self.attributes.insert(name.to_owned(), value.to_owned());
    }

    /// The same service, whichever process of it speaks: what is said of a run must go on under the same name when another one leads.
    #[must_use]
    pub fn without_process(&self) -> Self {
        let mut resource = self.clone();
        resource.attributes.retain(|name, _| {
            name != "service.instance.id" && !name.starts_with("k8s.pod.") && !name.starts_with("k8s.node.")
        });
        resource
    }

    pub(super) fn to_sdk(&self) -> SdkResource {
        let attributes =
            self.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        SdkResource::builder_empty().with_attributes(attributes).build()
    }

    pub(super) fn to_proto(&self) -> ProtoResource {
        let attributes = self.attributes.iter().map(|(name, value)| attribute(name, value)).collect();
        ProtoResource { attributes, ..ProtoResource::default() }
    }
}

/// A text attribute.
pub(super) fn attribute(name: &str, value: &str) -> ProtoKeyValue {
    ProtoKeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) }),
        ..ProtoKeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_variables_say_goes_over_what_is_known() {
        let variable = |name: &str| {
            let value = match name {
                "POD_NAME" => "w-0-abc",
                "POD_UID" => "",
                "OTEL_RESOURCE_ATTRIBUTES" => "team=a%20b,k8s.pod.name=other,service.name=mine",
                "OTEL_SERVICE_NAME" => "named",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let resource = Resource::of("plimsoll-worker", "7", &variable).unwrap();
        let get = |name: &str| resource.attributes.get(name).map(String::as_str);
        assert_eq!(get("service.name"), Some("named"));
        assert_eq!(get("k8s.pod.name"), Some("other"));
        assert_eq!(get("k8s.pod.uid"), None);
        assert_eq!(get("team"), Some("a b"));
        assert_eq!(get("service.version"), Some(env!("CARGO_PKG_VERSION")));
        let shared = resource.without_process();
        assert!(
            !shared.attributes.contains_key("service.instance.id")
                && !shared.attributes.contains_key("k8s.pod.name")
        );
        assert_eq!(resource.to_proto().attributes.len(), resource.attributes.len());
        assert_eq!(resource.to_sdk().len(), resource.attributes.len());
    }
}
