use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::TLS13,
};
use thiserror::Error;

/// The name that the agents' certificate is for, whatever their addresses.
pub const NAME: &str = "etm-agent";

/// A certificate, its key, and the authority whose certificates are taken: files `tls.crt`, `tls.key`
/// and `ca.crt` of a folder, as a Secret of type `kubernetes.io/tls` is mounted.
#[derive(Clone, Debug)]
pub struct Identity {
    folder: PathBuf,
}

/// Why an identity cannot be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file is not there, or holds nothing that is meant.
    #[error("could not read {path}; it is to be a PEM file")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key are not of one another, or cannot be used.
    #[error("tls.crt and tls.key in {folder} cannot be used")]
    Pair {
        /// Where they are.
        folder: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The authority cannot be used.
    #[error("ca.crt in {folder} cannot be used")]
    Authority {
        /// Where it is.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Identity {
    /// The one in a folder, which is read anew for each connection, so that it may come later, and
    /// another take its place, without a restart.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Whether it can be used now.
    ///
    /// # Errors
    ///
    /// Where it cannot.
    pub fn check(&self) -> Result<(), IdentityError> {
        self.server()?;
        self.client().map(drop)
    }

    pub(crate) fn server(&self) -> Result<Arc<ServerConfig>, IdentityError> {
        let roots = Arc::new(self.authority()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
        let verifier = verifier.map_err(|error: VerifierBuilderError| self.bad_authority(error))?;
        let (chain, key) = self.pair()?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|source| self.bad_pair(source))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|source| self.bad_pair(source))?;
        Ok(Arc::new(config))
    }

    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>, IdentityError> {
        let roots = self.authority()?;
        let (chain, key) = self.pair()?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|source| self.bad_pair(source))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|source| self.bad_pair(source))?;
        Ok(Arc::new(config))
    }

    fn authority(&self) -> Result<RootCertStore, IdentityError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates("ca.crt")? {
            roots.add(certificate).map_err(|error| self.bad_authority(error))?;
        }
        if roots.is_empty() {
            return Err(self.bad_authority("it has no certificate"));
        }
        Ok(roots)
    }

    fn pair(
        &self,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), IdentityError> {
        let path = self.folder.join("tls.key");
        let key = PrivateKeyDer::from_pem_file(&path)
            .map_err(|source| IdentityError::File { path, source })?;
        Ok((self.certificates("tls.crt")?, key))
    }

    fn certificates(&self, file: &str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
        let path = self.folder.join(file);
        let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect);
        read.map_err(|source| IdentityError::File { path, source })
    }

    fn bad_pair(&self, source: rustls::Error) -> IdentityError {
        IdentityError::Pair { folder: self.folder.clone(), source }
    }

    fn bad_authority(
        &self,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> IdentityError {
        let source = io::Error::new(io::ErrorKind::InvalidData, error);
        IdentityError::Authority { folder: self.folder.clone(), source }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
