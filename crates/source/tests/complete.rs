//! Whether all of the state is known, with files that are broken when the directory is opened.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use etm_source::{Manifests, Options, Update};
use tempfile::TempDir;
use tokio::time::timeout;

/// Far above what an update takes, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(10);

const BROKEN: &str = "kind: [\n";
const WHOLE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n\
                     spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n";

/// Opens a directory with a file that is whole and those that `prepare` puts beside it.
fn open(prepare: impl FnOnce(&Path)) -> (TempDir, Manifests) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("manifests");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("whole.yaml"), WHOLE).unwrap();
    prepare(&directory);
    let (manifests, ..) = Manifests::open(&directory, Options::default()).unwrap();
    (parent, manifests)
}

async fn next(manifests: &mut Manifests) -> Update {
    timeout(PATIENCE, manifests.next()).await.unwrap().unwrap()
}

fn unknown(manifests: &Manifests) -> Vec<&str> {
    let unknown: Vec<_> = manifests.unknown_files().collect();
    assert_eq!(unknown.is_empty(), manifests.is_complete());
    unknown
}

#[tokio::test]
async fn whole_files_are_all_there_is() {
    let (parent, mut manifests) = open(|_| {});
    assert!(manifests.is_complete());
    // What breaks later has a last good state.
    fs::write(parent.path().join("manifests/whole.yaml"), BROKEN).unwrap();
    assert_eq!(next(&mut manifests).await.problems.len(), 1);
    assert!(manifests.is_complete());
}

#[tokio::test]
async fn one_is_mended_and_one_removed() {
    let (parent, mut manifests) = open(|directory| {
        fs::write(directory.join("a.yaml"), BROKEN).unwrap();
        // Cannot be read at all.
        symlink("b.yaml", directory.join("b.yaml")).unwrap();
    });
    let file = |name| parent.path().join("manifests").join(name);
    assert_eq!(unknown(&manifests), ["a.yaml", "b.yaml"]);
    fs::write(file("a.yaml"), format!("\n{BROKEN}")).unwrap();
    next(&mut manifests).await;
    assert_eq!(unknown(&manifests), ["a.yaml", "b.yaml"]);
    fs::remove_file(file("b.yaml")).unwrap();
    next(&mut manifests).await;
    assert_eq!(unknown(&manifests), ["a.yaml"]);
    // A file that says nothing is whole: no object changes, but the state is known.
    fs::write(file("a.yaml"), "").unwrap();
    assert_eq!(next(&mut manifests).await.changes, []);
    assert!(manifests.is_complete());
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back_makes_nothing_known() {
    let (parent, mut manifests) = open(|directory| {
        fs::write(directory.join("a.yaml"), BROKEN).unwrap();
    });
    let (here, away) = (parent.path().join("manifests"), parent.path().join("away"));
    fs::rename(&here, &away).unwrap();
    next(&mut manifests).await;
    assert_eq!(unknown(&manifests), ["a.yaml"]);
    fs::rename(&away, &here).unwrap();
    next(&mut manifests).await;
    assert_eq!(unknown(&manifests), ["a.yaml"]);
    fs::rename(&here, &away).unwrap();
    next(&mut manifests).await;
    fs::remove_file(away.join("a.yaml")).unwrap();
    fs::rename(&away, &here).unwrap();
    next(&mut manifests).await;
    assert!(manifests.is_complete());
}
