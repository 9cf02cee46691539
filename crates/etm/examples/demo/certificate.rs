//! The certificate by which the controller asks the agents what became of connections.

use std::{fs, path::Path};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

/// The name that agents answer to.
const AGENT: &str = "etm-agent";

/// Writes `ca.crt`, `tls.crt` and `tls.key`, of an authority that is forgotten afterwards.
pub(crate) fn write(folder: &Path) -> anyhow::Result<()> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut params = CertificateParams::new(vec![AGENT.to_owned()])?;
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    for (file, text) in
        [("ca.crt", issuer.pem()), ("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())]
    {
        fs::write(folder.join(file), text).with_context(|| format!("write {file}"))?;
    }
    Ok(())
}
