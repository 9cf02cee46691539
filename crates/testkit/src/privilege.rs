//! A missing privilege fails a test; it never skips it.

use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};

use crate::Error;

/// What loading programs and making namespaces takes, with the names that people know.
const NEEDED: &[(CapabilitySet, &str)] = &[
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::SYS_ADMIN, "CAP_SYS_ADMIN"),
];

/// Makes sure that this process may load kernel programs and make namespaces.
///
/// # Errors
///
/// [`Error::Privilege`], one clear line that says what is missing.
pub fn require_root() -> Result<(), Error> {
    if !geteuid().is_root() {
        return Err(Error::Privilege("this takes root".to_owned()));
    }
    let held = capabilities(None)
        .map_err(|errno| Error::io("read this process's capabilities")(errno.into()))?
        .effective;
    for &(capability, name) in NEEDED {
        if !held.contains(capability) {
            return Err(Error::Privilege(format!("root without {name} here")));
        }
    }
    Ok(())
}
