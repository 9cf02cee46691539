//! The image, built by buildah from the shipped `Containerfile`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::shipped;

const NAME: &str = "localhost/etm:test";

/// An image in a store of its own, which is gone with it.
pub(crate) struct Image {
    store: TempDir,
    container: String,
}

/// The folder with a static `etm` alone.
fn context() -> PathBuf {
    let folder = shipped::beside_build("image/etm");
    folder.parent().expect("a folder").to_owned()
}

impl Image {
    pub(crate) fn build() -> Self {
        let store = tempfile::tempdir().expect("a folder");
        let mut image = Self { store, container: String::new() };
        let containerfile = shipped::folder("Containerfile");
        let build = ["build", "--quiet", "--isolation", "chroot", "--tag", NAME, "--file"];
        let build = build.iter().map(Path::new);
        image.buildah(build.chain([&*containerfile, &context()]));
        image.container = image.buildah(["from", NAME]);
        image
    }

    /// The folder of its root.
    pub(crate) fn root(&self) -> PathBuf {
        self.buildah(["mount", &self.container]).into()
    }

    /// What a program in it prints.
    fn run(&self, command: &[&str]) -> String {
        let run = ["run", "--isolation", "chroot", &self.container, "--"];
        self.buildah(run.iter().chain(command))
    }

    fn buildah(&self, arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>) -> String {
        let store = |name| self.store.path().join(name);
        let output = Command::new("buildah")
            // The one that needs nothing of the kernel.
            .args(["--storage-driver", "vfs", "--root"])
            .arg(store("images"))
            .arg("--runroot")
            .arg(store("run"))
            .args(arguments)
            .output()
            .expect("buildah runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.buildah(["rm", "--all"]);
        }
    }
}

#[test]
fn it_holds_the_program_alone() {
    let image = Image::build();
    let root = image.root();
    let files = fs::read_dir(&root).expect("a folder").map(|file| file.expect("a file").path());
    assert_eq!(files.collect::<Vec<_>>(), [root.join("etm")]);
    let version = format!("etm {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(image.run(&["/etm", "--version"]), version);
}
