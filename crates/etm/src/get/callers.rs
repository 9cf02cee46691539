use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use etm_abi::CALLER_NODE;
use etm_model::Caller;
use serde::Serialize;

use crate::get::Row;

/// One Pod of this node, or the node itself, as a caller.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallerRow {
    /// `namespace/pod`; empty where only its cgroup is known so far.
    pod: Arc<str>,
    addresses: Vec<IpAddr>,
    /// UID of the Pod; empty for the node.
    uid: Arc<str>,
    /// Id of its cgroup; 0 for the node.
    cgroup_id: u64,
    /// Its cgroup, from the root of cgroup v2 on; empty for the node, and where it is gone.
    cgroup: PathBuf,
}

impl Row for CallerRow {
    const HEADER: &'static [&'static str] = &["POD", "ADDRESSES", "UID", "CGROUP"];

    fn cells(&self) -> Vec<String> {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let node = self.cgroup_id == CALLER_NODE;
        let pod = if node { format!("(node {})", self.pod) } else { self.pod.to_string() };
        vec![pod, addresses.join(", "), self.uid.to_string(), self.cgroup.display().to_string()]
    }
}

/// Every caller whose name begins with the filter, ordered by name, the node first.
pub(super) fn rows(
    callers: BTreeMap<u64, Caller>,
    cgroups: Option<&Path>,
    filter: &str,
) -> Vec<CallerRow> {
    let mut paths = BTreeMap::new();
    if let Some(root) = cgroups {
        find(root, root, &callers, &mut paths);
    }
    let mut rows: Vec<_> = callers
        .into_iter()
        .filter(|(_, caller)| caller.name.starts_with(filter))
        .map(|(cgroup_id, caller)| CallerRow {
            pod: caller.name,
            addresses: caller
                .ipv4
                .map(IpAddr::V4)
                .into_iter()
                .chain(caller.ipv6.map(IpAddr::V6))
                .collect(),
            uid: caller.uid,
            cgroup_id,
            cgroup: paths.remove(&cgroup_id).unwrap_or_default(),
        })
        .collect();
    rows.sort_by(|one, other| {
        let key = |row: &CallerRow| (row.cgroup_id != CALLER_NODE, Arc::clone(&row.pod));
        key(one).cmp(&key(other))
    });
    rows
}

/// Where the cgroups of these ids are: the id is the inode number of the directory.
fn find(
    root: &Path,
    directory: &Path,
    wanted: &BTreeMap<u64, Caller>,
    found: &mut BTreeMap<u64, PathBuf>,
) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        let id = entry.metadata().map_or(0, |metadata| metadata.ino());
        if wanted.contains_key(&id) {
            let below = path.strip_prefix(root).unwrap_or(&path);
            found.insert(id, Path::new("/").join(below));
        } else {
            find(root, &path, wanted, found);
        }
    }
}
