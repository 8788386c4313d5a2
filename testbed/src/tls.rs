//! The TLS side of the listeners: certificates from `pki.rs` or from files, ALPN, client certificates.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::{Config, Tls};
use crate::pki::{Pki, PkiError};

/// TLS that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificate and key do not come together.
    #[error("tls: {given} is given without {missing}; give both, or neither to have a certificate made")]
    Half {
        /// The field that is there.
        given: &'static str,
        /// The field that is not.
        missing: &'static str,
    },
    /// A file cannot be read.
    #[error("tls: cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file or a text is not PEM, or has nothing of what is looked for.
    #[error("tls: no {what} in {from}: {source}")]
    Pem {
        /// What is looked for.
        what: &'static str,
        /// The file, or the certificates made here.
        from: String,
        /// The reason.
        source: pem::Error,
    },
    /// Certificates cannot be made.
    #[error("tls.names: {0}")]
    Pki(#[from] PkiError),
    /// The parts do not fit together.
    #[error("tls: {0}; check that the key belongs to the certificate")]
    Rustls(#[from] rustls::Error),
    /// The client authorities are of no use.
    #[error("tls.clientCa: {0}")]
    ClientCa(#[from] VerifierBuilderError),
}

/// The texts that a server shows or checks.
struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_ca: Option<Vec<CertificateDer<'static>>>,
}

/// Makes what accepts TLS connections, and the certificates if no files are given.
pub(crate) fn acceptor(config: &Config) -> Result<(TlsAcceptor, Option<Pki>), TlsError> {
    let tls = &config.tls;
    let (material, pki) = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => (from_files(tls, certificate, key)?, None),
        (Some(_), None) => return Err(TlsError::Half { given: "certificate", missing: "key" }),
        (None, Some(_)) => return Err(TlsError::Half { given: "key", missing: "certificate" }),
        (None, None) => {
            let pki = Pki::generate(&tls.names)?;
            (made_here(tls, &pki)?, Some(pki))
        }
    };
    let provider = Arc::new(ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if tls.require_client_certificate {
        let Some(authorities) = material.client_ca else {
            return Err(TlsError::Half { given: "requireClientCertificate", missing: "clientCa" });
        };
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let mut server = builder.with_single_cert(material.chain, material.key)?;
    if config.http2 {
        server.alpn_protocols.push(b"h2".to_vec());
    }
    server.alpn_protocols.push(b"http/1.1".to_vec());
    Ok((TlsAcceptor::from(Arc::new(server)), pki))
}

fn from_files(tls: &Tls, certificate: &Path, key: &Path) -> Result<Material, TlsError> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source });
    let certificates =
        |path: &Path| read(path).and_then(|text| certificates(&text, &path.display().to_string()));
    Ok(Material {
        chain: certificates(certificate)?,
        key: private_key(&read(key)?, &key.display().to_string())?,
        client_ca: tls.client_ca.as_deref().map(certificates).transpose()?,
    })
}

fn made_here(tls: &Tls, pki: &Pki) -> Result<Material, TlsError> {
    let from = "the certificates made at the start";
    let client_ca = match &tls.client_ca {
        Some(path) => std::fs::read(path).map_err(|source| TlsError::Read { path: path.clone(), source })?,
        None => pki.ca_pem.clone().into_bytes(),
    };
    Ok(Material {
        chain: certificates(pki.server_pem.as_bytes(), from)?,
        key: private_key(pki.server_key_pem.as_bytes(), from)?,
        client_ca: Some(certificates(&client_ca, from)?),
    })
}

fn certificates(text: &[u8], from: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Pem { what: "certificate", from: from.to_owned(), source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(failed)?;
    if found.is_empty() { Err(failed(pem::Error::NoItemsFound)) } else { Ok(found) }
}

fn private_key(text: &[u8], from: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    let failed = |source| TlsError::Pem { what: "private key", from: from.to_owned(), source };
    PrivateKeyDer::from_pem_slice(text).map_err(failed)
}
