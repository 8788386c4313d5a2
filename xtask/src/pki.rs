//! The certificates and keys of a private Kubernetes: one authority, the API server, the administrator, one node, and
//! the key that signs service account tokens. `kubeconfig.rs` makes them usable, `apiserver.rs` names the files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// A folder of certificates.
#[derive(Debug, Clone)]
pub struct Pki {
    folder: PathBuf,
}

/// The name of the one node, and of its certificate.
pub const NODE: &str = "node1";

impl Pki {
    /// Makes everything anew in `folder`. The API server's certificate is for `addresses` beside the names that
    /// Kubernetes itself uses.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn make(folder: &Path, addresses: &[&str]) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        let pki = Self { folder: folder.to_owned() };
        let authority = authority()?;
        pki.write("ca.crt", &authority.pem())?;
        let mut names: Vec<&str> = vec![
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ];
        names.extend(addresses);
        pki.issue(&authority, "apiserver", "kube-apiserver", "plimsoll", &names)?;
        pki.issue(&authority, "admin", "admin", "system:masters", &[])?;
        pki.issue(&authority, "node", &format!("system:node:{NODE}"), "system:nodes", &[])?;
        let tokens = KeyPair::generate()?;
        pki.write("service-accounts.key", &tokens.serialize_pem())?;
        pki.write("service-accounts.pub", &tokens.public_key_pem())?;
        Ok(pki)
    }

    /// The file `name` of the folder, such as `ca.crt`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn issue(
        &self,
        authority: &CertifiedIssuer<'_, KeyPair>,
        file: &str,
        name: &str,
        organisation: &str,
        addresses: &[&str],
    ) -> Result<()> {
        let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
        let mut params = CertificateParams::new(addresses)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, organisation);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, authority)?;
        self.write(&format!("{file}.crt"), &certificate.pem())?;
        self.write(&format!("{file}.key"), &key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.file(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "plimsoll test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
