//! A certificate authority of a test's own, with a server and a client certificate under it. `tls.rs` serves with it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

/// PEM texts of an authority, a server and a client. The authority's key is gone once they are made.
#[derive(Clone, PartialEq, Eq)]
pub struct Pki {
    /// The authority's certificate.
    pub ca_pem: String,
    /// The server's certificate.
    pub server_pem: String,
    /// The server's key.
    pub server_key_pem: String,
    /// The client's certificate.
    pub client_pem: String,
    /// The client's key.
    pub client_key_pem: String,
}

/// A certificate that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A name is neither a DNS name nor an IP address, or signing failed.
    #[error("no certificate can be made for {}: {source}", names.join(", "))]
    Certificate {
        /// The names asked for.
        names: Vec<String>,
        /// The reason.
        source: rcgen::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}; use --tls-out with a directory that is writable", path.display())]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Pki {
    /// Makes an authority, a server certificate for these DNS names and IP addresses, and a client certificate.
    ///
    /// # Errors
    /// If a name cannot stand in a certificate.
    pub fn generate(names: &[String]) -> Result<Self, PkiError> {
        make(names).map_err(|source| PkiError::Certificate { names: names.to_vec(), source })
    }

    /// Writes `ca.pem`, `server.pem`, `server-key.pem`, `client.pem` and `client-key.pem` into a directory, which is
    /// made if need be. Only the owner may read the keys.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), PkiError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PkiError::Write { path, source }
        };
        std::fs::create_dir_all(directory).map_err(failed(directory))?;
        for (name, text, mode) in [
            ("ca.pem", &self.ca_pem, 0o644),
            ("server.pem", &self.server_pem, 0o644),
            ("server-key.pem", &self.server_key_pem, 0o600),
            ("client.pem", &self.client_pem, 0o644),
            ("client-key.pem", &self.client_key_pem, 0o600),
        ] {
            let path = directory.join(name);
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(mode);
            let written = options.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(failed(&path))?;
        }
        Ok(())
    }
}

/// Keys stay out of logs.
impl std::fmt::Debug for Pki {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pki").finish_non_exhaustive()
    }
}

fn make(names: &[String]) -> Result<Pki, rcgen::Error> {
    let mut authority = named("testbed authority", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let ca_pem = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);

    let (server_pem, server_key_pem) =
        leaf("testbed server", names.to_vec(), ExtendedKeyUsagePurpose::ServerAuth, &issuer)?;
    let (client_pem, client_key_pem) =
        leaf("testbed client", Vec::new(), ExtendedKeyUsagePurpose::ClientAuth, &issuer)?;
    Ok(Pki { ca_pem, server_pem, server_key_pem, client_pem, client_key_pem })
}

/// A certificate and its key.
fn leaf(
    name: &str,
    names: Vec<String>,
    usage: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(String, String), rcgen::Error> {
    let mut params = named(name, names)?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key.serialize_pem()))
}

fn named(name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
