//! Where kubelet puts the cgroups of Pods and containers.

use crate::Error;
use crate::cgroup::Cgroup;

/// Who makes the cgroups, and so how they are named: kubelet's setting `cgroupDriver`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CgroupDriver {
    /// systemd, in slices and scopes.
    #[default]
    Systemd,
    /// kubelet and the container runtime themselves.
    Cgroupfs,
}

/// A Pod's quality of service, which decides below what its cgroup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Qos {
    /// Requests are the limits, for every container.
    Guaranteed,
    /// Something is requested.
    Burstable,
    /// Nothing is requested.
    BestEffort,
}

impl Qos {
    /// As `status.qosClass` says, which the API server sets for every Pod.
    pub(super) fn of(class: Option<&str>) -> Self {
        match class {
            Some("Guaranteed") => Self::Guaranteed,
            Some("Burstable") => Self::Burstable,
            _ => Self::BestEffort,
        }
    }

    /// Guaranteed ones have no folder of their own.
    fn folder(self) -> Option<&'static str> {
        match self {
            Self::Guaranteed => None,
            Self::Burstable => Some("burstable"),
            Self::BestEffort => Some("besteffort"),
        }
    }
}

/// The cgroups of a node that are there before its first Pod.
#[derive(Debug)]
pub(super) struct Layout {
    driver: CgroupDriver,
    burstable: Cgroup,
    best_effort: Cgroup,
    pods: Cgroup,
    root: Cgroup,
}

impl Layout {
    /// Makes them below a scratch cgroup.
    pub(super) fn new(driver: CgroupDriver) -> Result<Self, Error> {
        let root = Cgroup::new()?;
        let pods = root.child(&of_class(driver, Qos::Guaranteed))?;
        let burstable = pods.child(&of_class(driver, Qos::Burstable))?;
        let best_effort = pods.child(&of_class(driver, Qos::BestEffort))?;
        Ok(Self { driver, burstable, best_effort, pods, root })
    }

    /// The scratch cgroup that stands for the node's root.
    pub(super) fn root(&self) -> &Cgroup {
        &self.root
    }

    /// Makes the cgroup of a Pod.
    pub(super) fn pod(&self, qos: Qos, uid: &str) -> Result<Cgroup, Error> {
        let parent = match qos {
            Qos::Guaranteed => &self.pods,
            Qos::Burstable => &self.burstable,
            Qos::BestEffort => &self.best_effort,
        };
        parent.child(&of_pod(self.driver, qos, uid))
    }

    /// Makes the cgroup of a container in that of its Pod.
    pub(super) fn container(&self, pod: &Cgroup, id: &str) -> Result<Cgroup, Error> {
        pod.child(&of_container(self.driver, id))
    }
}

/// The last part of a class's path.
fn of_class(driver: CgroupDriver, qos: Qos) -> String {
    match (driver, qos.folder()) {
        (CgroupDriver::Systemd, None) => "kubepods.slice".to_owned(),
        // A slice is named by its whole path.
        (CgroupDriver::Systemd, Some(class)) => format!("kubepods-{class}.slice"),
        (CgroupDriver::Cgroupfs, class) => class.unwrap_or("kubepods").to_owned(),
    }
}

/// The last part of a Pod's path.
fn of_pod(driver: CgroupDriver, qos: Qos, uid: &str) -> String {
    match driver {
        CgroupDriver::Cgroupfs => format!("pod{uid}"),
        CgroupDriver::Systemd => {
            let class = qos.folder().map(|class| format!("-{class}")).unwrap_or_default();
            // To systemd a dash leads to a child.
            format!("kubepods{class}-pod{}.slice", uid.replace('-', "_"))
        }
    }
}

/// The last part of a container's path, of containerd.
fn of_container(driver: CgroupDriver, id: &str) -> String {
    match driver {
        CgroupDriver::Cgroupfs => id.to_owned(),
        CgroupDriver::Systemd => format!("cri-containerd-{id}.scope"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "8e0c2a3b-9f5d-4c1e-8a77-2b6f10d4e9aa";

    fn path(driver: CgroupDriver, qos: Qos) -> String {
        let class = qos.folder().map(|_| of_class(driver, qos));
        let parts =
            [Some(of_class(driver, Qos::Guaranteed)), class, Some(of_pod(driver, qos, UID))];
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    }

    #[test]
    fn systemd_names_slices_by_their_whole_path() {
        let driver = CgroupDriver::Systemd;
        assert_eq!(
            path(driver, Qos::Burstable),
            "kubepods.slice/kubepods-burstable.slice/\
             kubepods-burstable-pod8e0c2a3b_9f5d_4c1e_8a77_2b6f10d4e9aa.slice"
        );
        assert_eq!(
            path(driver, Qos::Guaranteed),
            "kubepods.slice/kubepods-pod8e0c2a3b_9f5d_4c1e_8a77_2b6f10d4e9aa.slice"
        );
        assert_eq!(of_container(driver, "ab12"), "cri-containerd-ab12.scope");
    }

    #[test]
    fn cgroupfs_names_folders_plainly() {
        let driver = CgroupDriver::Cgroupfs;
        assert_eq!(path(driver, Qos::BestEffort), format!("kubepods/besteffort/pod{UID}"));
        assert_eq!(path(driver, Qos::Guaranteed), format!("kubepods/pod{UID}"));
        assert_eq!(of_container(driver, "ab12"), "ab12");
    }
}
