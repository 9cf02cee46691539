//! A certificate by which agents and the controller know one another.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

use crate::Error;

/// Writes `ca.crt`, `tls.crt` and `tls.key` to a folder: a certificate of this name, for servers and
/// clients alike, of an authority that signs nothing else.
///
/// # Errors
///
/// [`Error::Io`].
pub fn certificate(folder: &Path, name: &str) -> Result<(), Error> {
    let failed =
        |error: rcgen::Error| Error::io("make a certificate")(std::io::Error::other(error));
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(failed)?;
    let issuer = CertifiedIssuer::self_signed(params, key).map_err(failed)?;
    let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(failed)?;
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    for (file, text) in
        [("ca.crt", issuer.pem()), ("tls.crt", certificate.pem()), ("tls.key", key.serialize_pem())]
    {
        fs::write(folder.join(file), text).map_err(Error::io(format!("write {file}")))?;
    }
    Ok(())
}
