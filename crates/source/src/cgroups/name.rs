//! What the names of cgroups say: the kubelet's two drivers name a Pod's cgroup by its UID.
//!
//! | driver | Pod | above it |
//! |---|---|---|
//! | systemd | `kubepods-burstable-pod<UID with _ for ->.slice` | `kubepods.slice`, `kubepods-burstable.slice` |
//! | cgroupfs | `pod<UID>` | `kubepods`, `burstable` |
//!
//! Pods of class Guaranteed lie directly below `kubepods`. A cgroup root of its own, as kind gives
//! the kubelet, stands before the names of the systemd driver: `kubelet-kubepods-...`.

use std::path::Path;

/// What every cgroup of Pods is below, or is named by.
const ROOT: &str = "kubepods";

/// The UID of the Pod whose cgroup this is; none for any other cgroup.
pub(super) fn pod_uid(cgroup: &Path) -> Option<String> {
    let name = cgroup.file_name()?.to_str()?;
    let uid = match name.strip_suffix(".slice") {
        Some(unit) => {
            let (above, uid) = unit.rsplit_once("-pod")?;
            is_root(above).then(|| uid.replace('_', "-"))?
        }
        None => {
            let mut above = cgroup.ancestors().skip(1).filter_map(Path::file_name);
            let below_root = above.any(|name| name.to_str().is_some_and(is_root));
            below_root.then(|| name.strip_prefix("pod"))??.to_owned()
        }
    };
    is_uid(&uid).then_some(uid)
}

/// Whether Pods' cgroups may lie below a cgroup that is none itself: systemd's units other than
/// slices have none but of their own making.
pub(super) fn may_hold_pods(cgroup: &Path) -> bool {
    const LEAVES: [&str; 5] = ["service", "scope", "mount", "swap", "socket"];
    let unit = cgroup.extension().and_then(|kind| kind.to_str());
    !unit.is_some_and(|kind| LEAVES.contains(&kind))
}

fn is_root(name: &str) -> bool {
    let name = name.strip_suffix(".slice").unwrap_or(name);
    name.split('-').any(|part| part == ROOT)
}

/// A UUID, or the 32 hexadecimal digits that the kubelet gives static Pods.
fn is_uid(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0c6a2f5e-63a2-4d3f-9d5e-8f1b7c2d3e4f";

    #[test]
    fn systemd_driver() {
        let unit = UID.replace('-', "_");
        for path in [
            format!("kubepods.slice/kubepods-pod{unit}.slice"),
            format!("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{unit}.slice"),
            format!("kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{unit}.slice"),
            format!("kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{unit}.slice"),
        ] {
            assert_eq!(pod_uid(Path::new(&path)).as_deref(), Some(UID), "{path}");
        }
    }

    #[test]
    fn cgroupfs_driver() {
        for above in ["kubepods", "kubepods/burstable", "kubelet/kubepods/besteffort"] {
            let path = format!("/sys/fs/cgroup/{above}/pod{UID}");
            assert_eq!(pod_uid(Path::new(&path)).as_deref(), Some(UID), "{path}");
        }
    }

    #[test]
    fn static_pods() {
        let uid = "0123456789abcdef0123456789abcdef";
        let path = format!("kubepods/burstable/pod{uid}");
        assert_eq!(pod_uid(Path::new(&path)).as_deref(), Some(uid));
    }

    #[test]
    fn what_is_no_pods_cgroup() {
        for path in [
            "kubepods",
            "kubepods.slice/kubepods-burstable.slice",
            "kubepods/podinfo",
            "machine.slice/machine-libpod_pod_0123456789abcdef0123456789abcdef.slice",
            "/pod0123456789abcdef0123456789abcdef",
            "user.slice/user-podman-pod0123456789abcdef0123456789abcdef.slice",
            "",
        ] {
            assert_eq!(pod_uid(Path::new(path)), None, "{path}");
        }
    }

    #[test]
    fn units_hold_none() {
        assert!(may_hold_pods(Path::new("kubepods.slice")));
        assert!(may_hold_pods(Path::new("kubepods/burstable")));
        assert!(!may_hold_pods(Path::new("system.slice/containerd.service")));
        assert!(!may_hold_pods(Path::new("cri-containerd-0123.scope")));
    }
}
