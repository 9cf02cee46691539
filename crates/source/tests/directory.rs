//! A directory that is followed: real files, real events.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::Write,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use etm_model::{Problem, Snapshot};
use etm_source::{Manifests, OpenError, Options};
use tempfile::TempDir;
use tokio::time::timeout;

/// Far above what an update takes, so that a busy machine fails no test.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough for an event to show that should not be there.
const QUIET: Duration = Duration::from_millis(100);

struct Followed {
    directory: PathBuf,
    manifests: Manifests,
    snapshot: Snapshot,
    problems: Vec<Problem>,
    _parent: TempDir,
}

impl Followed {
    /// Opens a directory after `prepare` has put files there.
    fn open(prepare: impl FnOnce(&Path)) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("manifests");
        fs::create_dir(&directory).unwrap();
        prepare(&directory);
        let (manifests, snapshot, problems) =
            Manifests::open(&directory, Options { node: "a".into(), ..Options::default() })
                .unwrap();
        Self { directory, manifests, snapshot, problems, _parent: parent }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Takes one update in.
    async fn update(&mut self) {
        let update = timeout(PATIENCE, self.manifests.next()).await.unwrap().unwrap();
        for change in update.changes {
            self.snapshot.change(change);
        }
        self.problems = update.problems;
    }

    async fn quiet(&mut self) {
        let update = timeout(QUIET, self.manifests.next()).await;
        assert!(update.is_err(), "{update:?}");
    }

    /// Names of the Services with their first port.
    fn services(&self) -> Vec<(&str, u16)> {
        let services = self.snapshot.services.values();
        services.map(|service| (&*service.name.name, service.ports[0].port)).collect()
    }
}

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{clusterIP: 10.96.0.1, ports: [{{port: {port}}}]}}\n"
    )
}

#[tokio::test]
async fn what_is_there_at_first() {
    let followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1) + "---\n" + &service("b", 2)).unwrap();
        fs::write(directory.join("c.yml"), service("c", 3)).unwrap();
        let list = r#"{"kind": "List", "apiVersion": "v1", "items": [{"kind": "Service",
            "apiVersion": "v1", "metadata": {"name": "d"},
            "spec": {"clusterIP": "10.96.0.4", "ports": [{"port": 4}]}}]}"#;
        fs::write(directory.join("d.json"), list).unwrap();
        fs::write(directory.join(".hidden.yaml"), service("hidden", 1)).unwrap();
        fs::write(directory.join("readme.txt"), "text").unwrap();
        fs::create_dir(directory.join("deeper")).unwrap();
        fs::write(directory.join("deeper/e.yaml"), service("e", 5)).unwrap();
        fs::write(directory.join("empty.yaml"), "").unwrap();
    });
    assert_eq!(followed.services(), [("a", 1), ("b", 2), ("c", 3), ("d", 4)]);
    assert_eq!(followed.problems, []);
    assert_eq!(&*followed.snapshot.node.name, "a");
}

#[tokio::test]
async fn a_directory_that_is_none() {
    let parent = tempfile::tempdir().unwrap();
    for name in ["absent", "file"] {
        fs::write(parent.path().join("file"), "").unwrap();
        let error = Manifests::open(&parent.path().join(name), Options::default()).err().unwrap();
        assert!(matches!(error, OpenError::Follow { .. }), "{error}");
    }
}

#[tokio::test]
async fn created_changed_and_deleted() {
    let mut followed = Followed::open(|_| {});
    followed.write("a.yaml", &service("a", 1));
    followed.update().await;
    assert_eq!(followed.services(), [("a", 1)]);
    followed.write("a.yaml", &service("a", 2));
    followed.update().await;
    assert_eq!(followed.services(), [("a", 2)]);
    fs::remove_file(followed.path("a.yaml")).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), []);
}

#[tokio::test]
async fn replaced_by_a_rename() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    followed.write(".a.yaml.new", &service("a", 2));
    fs::rename(followed.path(".a.yaml.new"), followed.path("a.yaml")).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), [("a", 2)]);
}

#[tokio::test]
async fn renamed_without_a_gap() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    fs::rename(followed.path("a.yaml"), followed.path("b.yaml")).unwrap();
    followed.quiet().await;
    fs::rename(followed.path("b.yaml"), followed.path("b.disabled")).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), []);
}

#[tokio::test]
async fn saved_by_an_editor_that_keeps_a_copy() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    fs::rename(followed.path("a.yaml"), followed.path("a.yaml~")).unwrap();
    let mut file = fs::File::create(followed.path("a.yaml")).unwrap();
    followed.quiet().await;
    assert_eq!(followed.services(), [("a", 1)]);
    file.write_all(service("a", 2).as_bytes()).unwrap();
    drop(file);
    fs::remove_file(followed.path("a.yaml~")).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), [("a", 2)]);
}

#[tokio::test]
async fn half_written_files_are_not_read() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    let text = service("a", 2) + "---\n" + &service("b", 3);
    let (first, second) = text.split_at(text.len() / 2);
    let mut file = fs::File::create(followed.path("a.yaml")).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    followed.quiet().await;
    file.write_all(second.as_bytes()).unwrap();
    drop(file);
    followed.update().await;
    assert_eq!(followed.services(), [("a", 2), ("b", 3)]);
    assert_eq!(followed.problems, []);
}

#[tokio::test]
async fn touched_without_a_change() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    followed.write("a.yaml", &service("a", 1));
    followed.quiet().await;
}

#[tokio::test]
async fn broken_then_mended() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    followed.write("a.yaml", &(service("a", 2) + "---\nkind: [\n"));
    followed.update().await;
    assert_eq!(followed.services(), [("a", 1)]);
    assert_eq!(followed.problems.len(), 1);
    assert!(followed.problems[0].object.starts_with("a.yaml:6"), "{:?}", followed.problems);
    followed.write("b.yaml", &service("b", 1));
    followed.update().await;
    assert_eq!((followed.services().len(), followed.problems.len()), (2, 1));
    followed.write("a.yaml", &service("a", 1));
    followed.update().await;
    assert_eq!((followed.services(), followed.problems.len()), (vec![("a", 1), ("b", 1)], 0));
}

#[tokio::test]
async fn what_is_no_file() {
    let mut followed = Followed::open(|directory| {
        fs::create_dir(directory.join("a.yaml")).unwrap();
        symlink("nowhere", directory.join("b.yaml")).unwrap();
    });
    assert_eq!(followed.problems.len(), 1);
    assert_eq!(followed.problems[0].reason, "is not a file");
    fs::remove_dir(followed.path("a.yaml")).unwrap();
    followed.update().await;
    assert_eq!(followed.problems, []);
}

#[tokio::test]
async fn linked_into_the_directory() {
    let mut followed = Followed::open(|_| {});
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("x"), service("a", 1)).unwrap();
    symlink(elsewhere.path().join("x"), followed.path("a.yaml")).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), [("a", 1)]);
}

#[tokio::test]
async fn a_mounted_config_map_is_replaced_at_once() {
    let version = |directory: &Path, name: &str, port: u16| {
        fs::create_dir(directory.join(name)).unwrap();
        fs::write(directory.join(name).join("a.yaml"), service("a", port)).unwrap();
        fs::write(directory.join(name).join("b.yaml"), service("b", port)).unwrap();
    };
    let mut followed = Followed::open(|directory| {
        version(directory, "..1", 1);
        symlink("..1", directory.join("..data")).unwrap();
        symlink("..data/a.yaml", directory.join("a.yaml")).unwrap();
        symlink("..data/b.yaml", directory.join("b.yaml")).unwrap();
    });
    assert_eq!(followed.services(), [("a", 1), ("b", 1)]);
    version(&followed.directory, "..2", 2);
    symlink("..2", followed.path("..data_tmp")).unwrap();
    fs::rename(followed.path("..data_tmp"), followed.path("..data")).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), [("a", 2), ("b", 2)]);
}

#[tokio::test]
async fn the_directory_goes_and_comes_back() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    let away = followed.directory.with_extension("away");
    fs::rename(&followed.directory, &away).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), [("a", 1)]);
    assert!(followed.problems[0].reason.starts_with("cannot be followed any more"));
    fs::write(away.join("b.yaml"), service("b", 1)).unwrap();
    fs::rename(&away, &followed.directory).unwrap();
    followed.update().await;
    assert_eq!((followed.services(), followed.problems.len()), (vec![("a", 1), ("b", 1)], 0));
    followed.write("c.yaml", &service("c", 1));
    followed.update().await;
    assert_eq!(followed.services().len(), 3);
}

#[tokio::test]
async fn the_directory_is_deleted() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    fs::remove_dir_all(&followed.directory).unwrap();
    followed.update().await;
    assert_eq!((followed.services(), followed.problems.len()), (vec![("a", 1)], 1));
}

#[tokio::test]
async fn more_events_than_the_kernel_keeps() {
    let mut followed = Followed::open(|_| {});
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: u32 = limit.trim().parse().unwrap();
    // Equal events in a row are one; these alternate.
    for i in 0..limit {
        followed.write(if i % 2 == 0 { "x.yaml" } else { "y.yaml" }, "");
    }
    followed.write("a.yaml", &service("a", 1));
    while followed.services().is_empty() {
        followed.update().await;
    }
    assert_eq!(followed.services(), [("a", 1)]);
    followed.write("a.yaml", &service("a", 2));
    followed.update().await;
    assert_eq!(followed.services(), [("a", 2)]);
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    fs::remove_file(followed.path("a.yaml")).unwrap();
    // Cancelled after each step, also within the time that a file may take to come back.
    for _ in 0..100 {
        tokio::select! {
            biased;
            update = followed.manifests.next() => panic!("{update:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    followed.update().await;
    assert_eq!(followed.services(), []);
}

#[tokio::test]
async fn a_file_that_cannot_be_read() {
    let mut followed = Followed::open(|directory| {
        fs::write(directory.join("a.yaml"), service("a", 1)).unwrap();
    });
    fs::remove_file(followed.path("a.yaml")).unwrap();
    symlink("a.yaml", followed.path("a.yaml")).unwrap();
    followed.update().await;
    assert_eq!(followed.services(), [("a", 1)]);
    assert!(followed.problems[0].reason.starts_with("cannot be read"), "{:?}", followed.problems);
    fs::remove_file(followed.path("a.yaml")).unwrap();
    followed.write("a.yaml", &service("a", 2));
    followed.update().await;
    assert_eq!((followed.services(), followed.problems.len()), (vec![("a", 2)], 0));
}
