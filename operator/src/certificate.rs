//! Who the operator is to its workers: an authority kept in one Secret of its namespace, made once, and a certificate that is
//! issued in memory by each process. Workers get the authority's certificate in the run's ConfigMap (`crates/manifests/src/frozen.rs`).

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";

/// What a process shows its workers.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The authority's certificate, PEM.
    pub(crate) ca_pem: String,
    /// The server's certificate, PEM.
    pub(crate) certificate_pem: String,
    /// The server's key, PEM; nowhere but in memory.
    pub(crate) key_pem: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// The Secret cannot be read or made.
    #[error(
        "secret {namespace}/{name} with the operator's authority: {error}; the operator may get and create it in its own namespace"
    )]
    Secret {
        /// Where.
        namespace: String,
        /// Which.
        name: String,
        /// Why.
        error: Box<kube::Error>,
    },
    /// The Secret holds something else.
    #[error(
        "secret {0} holds no usable {CERTIFICATE} and {KEY}: delete it, and the operator makes a new one when it starts"
    )]
    Unusable(String),
    /// A certificate cannot be made.
    #[error("make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// Reads the authority, or makes it if there is none, and issues a certificate for `names`.
///
/// # Errors
/// See [`CertificateError`].
pub(crate) async fn identity(
    client: &Client,
    namespace: &str,
    secret: &str,
    names: &[String],
) -> Result<Identity, CertificateError> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let failed = |error| CertificateError::Secret {
        namespace: namespace.to_owned(),
        name: secret.to_owned(),
        error: Box::new(error),
    };
    let stored = match secrets.get_opt(secret).await.map_err(failed)? {
        Some(stored) => stored,
        None => match secrets.create(&PostParams::default(), &new_authority(secret)?).await {
            // Another replica was faster: its authority is everybody's.
            Err(kube::Error::Api(status)) if status.code == 409 => {
                secrets.get(secret).await.map_err(failed)?
            }
            other => other.map_err(failed)?,
        },
    };
    let text = |key: &str| {
        let bytes = stored.data.as_ref().and_then(|data| data.get(key))?;
        String::from_utf8(bytes.0.clone()).ok()
    };
    let (Some(ca_pem), Some(ca_key)) = (text(CERTIFICATE), text(KEY)) else {
        return Err(CertificateError::Unusable(format!("{namespace}/{secret}")));
    };
    issue(ca_pem, &ca_key, names)
}

/// The Secret of a fresh authority.
fn new_authority(name: &str) -> Result<Secret, CertificateError> {
    let key = KeyPair::generate()?;
    let certificate = authority()?.self_signed(&key)?;
    let data = [(CERTIFICATE, certificate.pem()), (KEY, key.serialize_pem())];
    Ok(Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: Some("Opaque".to_owned()),
        data: Some(
            data.into_iter()
                .map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
                .collect::<BTreeMap<_, _>>(),
        ),
        ..Secret::default()
    })
}

/// The authority's certificate but for its key. Fixed dates: trust comes from pinning it, and workers' clocks may be off.
fn authority() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "plimsoll operator authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    dated(&mut params);
    Ok(params)
}

fn issue(ca_pem: String, ca_key: &str, names: &[String]) -> Result<Identity, CertificateError> {
    let issuer = Issuer::new(authority()?, KeyPair::from_pem(ca_key)?);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, "plimsoll operator");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    dated(&mut params);
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Identity { ca_pem, certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

fn dated(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2074, 1, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_issues_again_after_a_restart() {
        let secret = new_authority("x").unwrap();
        let text = |key: &str| String::from_utf8(secret.data.as_ref().unwrap()[key].0.clone()).unwrap();
        let names = ["plimsoll-operator.ns.svc".to_owned()];
        let first = issue(text(CERTIFICATE), &text(KEY), &names).unwrap();
        let second = issue(text(CERTIFICATE), &text(KEY), &names).unwrap();
        assert_eq!(first.ca_pem, second.ca_pem);
        assert_ne!(first.key_pem, second.key_pem);
        assert!(first.certificate_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    }

    #[test]
    fn nonsense_in_the_secret_is_an_error() {
        assert!(issue(String::new(), "not a key", &[]).is_err());
    }
}
