//! The TLS client of a run: public or private roots, client certificate, ALPN. Built once by `prepare.rs`, used by `dial.rs`.
//!
//! Unless the plan asks for it, sessions are not resumed: every connection pays for a full handshake, as that of a client the target does
//! not know. Those that are resumed are kept in `tickets.rs`.

use std::sync::Arc;

use plimsoll_plan::HttpVersion;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::EngineError;
use crate::tickets::Tickets;

/// What the configuration is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TlsInput<'a> {
    pub(crate) http: HttpVersion,
    /// Private roots in place of the public ones.
    pub(crate) ca_pem: Option<&'a [u8]>,
    /// Certificate chain and key.
    pub(crate) client_pem: Option<(&'a [u8], &'a [u8])>,
    pub(crate) insecure: bool,
    /// Connections resume the sessions of earlier ones.
    pub(crate) resumption: bool,
}

/// Builds the configuration; errors name the field whose material is unusable.
pub(crate) fn client_config(input: TlsInput<'_>) -> Result<Arc<ClientConfig>, EngineError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| EngineError::Tls(error.to_string()))?;
    let builder = if input.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        builder.with_root_certificates(roots(input.ca_pem)?)
    };
    let mut config = match input.client_pem {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = certificates(chain).map_err(EngineError::ClientCertificate)?;
            let key = PrivateKeyDer::from_pem_slice(key)
                .map_err(|error| EngineError::ClientCertificate(format!("tls.key: {error}")))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| EngineError::ClientCertificate(error.to_string()))?
        }
    };
    config.resumption = match input.resumption {
        true => Resumption::store(Arc::new(Tickets::default())),
        false => Resumption::disabled(),
    };
    config.alpn_protocols = match input.http {
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    Ok(Arc::new(config))
}

fn roots(ca_pem: Option<&[u8]>) -> Result<RootCertStore, EngineError> {
    let mut store = RootCertStore::empty();
    let Some(pem) = ca_pem else {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(store);
    };
    for certificate in certificates(pem).map_err(EngineError::Ca)? {
        store.add(certificate).map_err(|error| EngineError::Ca(error.to_string()))?;
    }
    Ok(store)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let list = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if list.is_empty() { Err("no PEM certificate in it".to_owned()) } else { Ok(list) }
}

/// `insecureSkipVerify`: any certificate will do, but the handshake's signatures must be right.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: TlsInput<'_> = TlsInput {
        http: HttpVersion::Auto,
        ca_pem: None,
        client_pem: None,
        insecure: false,
        resumption: false,
    };

    #[test]
    fn offers_the_protocols_that_the_target_may_speak() {
        let auto = client_config(INPUT).unwrap();
        assert_eq!(auto.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        let two = client_config(TlsInput { http: HttpVersion::Http2, ..INPUT }).unwrap();
        assert_eq!(two.alpn_protocols, [b"h2".to_vec()]);
    }

    #[test]
    fn unusable_material_is_an_error_that_names_the_field() {
        let ca = client_config(TlsInput { ca_pem: Some(b"rubbish"), ..INPUT }).unwrap_err().to_string();
        assert!(ca.contains("target.tls.ca"), "{ca}");
        let client =
            client_config(TlsInput { client_pem: Some((b"", b"")), ..INPUT }).unwrap_err().to_string();
        assert!(client.contains("target.tls.clientCertificate"), "{client}");
    }
}
