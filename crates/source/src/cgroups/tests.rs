//! Followed in plain directories, which the kernel tells of in the same way.

use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

const UIDS: [&str; 3] = [
    "00000000-0000-4000-8000-000000000001",
    "00000000-0000-4000-8000-000000000002",
    "00000000-0000-4000-8000-000000000003",
];

fn make(root: &Path, path: &str) -> u64 {
    let path = root.join(path);
    fs::create_dir_all(&path).unwrap();
    fs::metadata(path).unwrap().ino()
}

fn made(id: u64, uid: &str) -> CgroupChange {
    CgroupChange::Made(id, uid.into())
}

async fn next(cgroups: &mut Cgroups) -> Vec<CgroupChange> {
    timeout(Duration::from_secs(5), cgroups.next()).await.expect("in time").unwrap()
}

#[tokio::test]
async fn those_that_are_there_come_and_go() {
    let root = TempDir::new().unwrap();
    let first = make(root.path(), &format!("kubepods/burstable/pod{}/container", UIDS[0]));
    let mut cgroups = Cgroups::open(root.path()).unwrap();
    let id = fs::metadata(root.path().join(format!("kubepods/burstable/pod{}", UIDS[0])));
    assert_ne!(id.as_ref().unwrap().ino(), first);
    let first = id.unwrap().ino();
    assert_eq!(next(&mut cgroups).await, [made(first, UIDS[0])]);

    let second = make(root.path(), &format!("kubepods/pod{}", UIDS[1]));
    assert_eq!(next(&mut cgroups).await, [made(second, UIDS[1])]);

    fs::remove_dir_all(root.path().join(format!("kubepods/burstable/pod{}", UIDS[0]))).unwrap();
    assert_eq!(next(&mut cgroups).await, [CgroupChange::Gone(first)]);
    assert_eq!(cgroups.known.into_values().collect::<Vec<_>>(), [second]);
}

#[tokio::test]
async fn a_whole_tree_that_comes_up_at_once_is_found() {
    let root = TempDir::new().unwrap();
    let mut cgroups = Cgroups::open(root.path()).unwrap();
    for round in 0..20 {
        let unit = UIDS[2].replace('-', "_");
        let top = format!("kubelet{round}.slice");
        let path = format!("{top}/kubelet-kubepods.slice/kubelet-kubepods-pod{unit}.slice");
        let id = make(root.path(), &path);
        assert_eq!(next(&mut cgroups).await, [made(id, UIDS[2])], "round {round}");
        fs::remove_dir_all(root.path().join(top)).unwrap();
        assert_eq!(next(&mut cgroups).await, [CgroupChange::Gone(id)], "round {round}");
    }
}

#[tokio::test]
async fn lost_events_are_made_up_for() {
    let root = TempDir::new().unwrap();
    let first = make(root.path(), &format!("kubepods/pod{}", UIDS[0]));
    let mut cgroups = Cgroups::open(root.path()).unwrap();
    assert_eq!(next(&mut cgroups).await, [made(first, UIDS[0])]);
    fs::remove_dir(root.path().join(format!("kubepods/pod{}", UIDS[0]))).unwrap();
    let second = make(root.path(), &format!("kubepods/besteffort/pod{}", UIDS[1]));
    cgroups.look_again();
    assert_eq!(
        std::mem::take(&mut cgroups.changes),
        [CgroupChange::Gone(first), made(second, UIDS[1])]
    );
}
