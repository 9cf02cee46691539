//! The certificate authority of a control plane, and what it signs.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};

use crate::Error;
use crate::folder::Folder;

/// An authority whose certificate and whose issued ones lie in a scratch folder.
#[derive(Debug)]
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Authority {
    /// Makes one in a folder that only this user can read.
    pub(super) fn new(scratch: &Folder) -> Result<Self, Error> {
        let folder = scratch.child("pki")?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
            .map_err(Error::io(format!("protect {}", folder.display())))?;
        let mut params = named("etm-testkit", &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().map_err(Error::certificate("the authority"))?;
        let issuer = CertifiedIssuer::self_signed(params, key)
            .map_err(Error::certificate("the authority"))?;
        let authority = Self { issuer, folder };
        write(&authority.path(), &authority.issuer.pem())?;
        Ok(authority)
    }

    /// Its own certificate.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// A certificate for a server at an address.
    pub(super) fn server(&self, name: &str, address: IpAddr) -> Result<Identity, Error> {
        let mut params = named(name, &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::IpAddress(address)];
        self.issue(name, &params)
    }

    /// A certificate for a user who is in these groups.
    pub(super) fn client(&self, user: &str, groups: &[&str]) -> Result<Identity, Error> {
        let mut params = named(user, groups);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&file_name(user), &params)
    }

    /// A key pair that tokens of ServiceAccounts are signed and checked with: the private half and
    /// the public one.
    pub(super) fn token_keys(&self) -> Result<Identity, Error> {
        let key = KeyPair::generate().map_err(Error::certificate("tokens"))?;
        self.store("tokens", &key.public_key_pem(), &key)
    }

    fn issue(&self, name: &str, params: &CertificateParams) -> Result<Identity, Error> {
        let key = KeyPair::generate().map_err(Error::certificate(name))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(Error::certificate(name))?;
        self.store(name, &certificate.pem(), &key)
    }

    fn store(&self, name: &str, public: &str, key: &KeyPair) -> Result<Identity, Error> {
        let path = |suffix| self.folder.join(format!("{name}.{suffix}"));
        let identity = Identity { certificate: path("crt"), key: path("key") };
        write(&identity.certificate, public)?;
        write(&identity.key, &key.serialize_pem())?;
        Ok(identity)
    }
}

/// Kubernetes takes the user from the common name and the groups from the organizations.
fn named(user: &str, groups: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params
}

/// `system:node:a` as part of a file's name.
fn file_name(user: &str) -> String {
    user.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-")
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))
}
