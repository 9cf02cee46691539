//! What the machine does not have is said in one clear line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use etm_testkit::{BpfDir, Cgroup, Manifests, require_root};

use crate::scene::ETM;

/// An agent that would run, but for what a test changes.
struct Attempt {
    /// Words before `agent`: the binary, and what it is run by.
    program: Vec<PathBuf>,
    manifests: PathBuf,
    cgroup: PathBuf,
    pin: PathBuf,
    more: Vec<String>,
    _made: (Manifests, Cgroup, BpfDir),
}

impl Attempt {
    fn new() -> Self {
        require_root().expect("privileges");
        let manifests = Manifests::new().expect("a folder of manifests");
        let cgroup = Cgroup::new().expect("a cgroup");
        let pins = BpfDir::new().expect("a folder for pins");
        Self {
            program: vec![ETM.into()],
            manifests: manifests.path().to_owned(),
            cgroup: cgroup.path().to_owned(),
            pin: pins.path().join("etm"),
            more: Vec::new(),
            _made: (manifests, cgroup, pins),
        }
    }

    fn run(&self) -> Output {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).arg("agent");
        for (flag, value) in
            [("--manifests", &self.manifests), ("--cgroup", &self.cgroup), ("--pin", &self.pin)]
        {
            command.arg(flag).arg(value);
        }
        command.args(&self.more).output().expect("etm runs")
    }

    /// Ends with an error of one line that has these parts, and leaves no pins.
    #[track_caller]
    fn is_told(&self, parts: &[&str]) {
        let output = self.run();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
        let line = said.lines().last().expect("a line");
        assert!(line.starts_with("error: ") && parts.iter().all(|p| line.contains(p)), "{said}");
        assert!(output.stdout.is_empty(), "it never was ready");
        assert!(!self.pin.join("links").exists(), "nothing is left in bpffs");
    }
}

#[test]
fn pins_that_are_not_in_bpffs() {
    let folder = Manifests::new().expect("a folder");
    let path = folder.path().display().to_string();
    let attempt = Attempt { pin: folder.path().to_owned(), ..Attempt::new() };
    attempt.is_told(&[&path, "is not on a BPF file system", "`mount -t bpf bpf /sys/fs/bpf`"]);
    assert_eq!(fs::read_dir(&path).expect("a folder").count(), 0);
}

#[test]
fn a_cgroup_that_is_none() {
    for path in ["/tmp", "/sys/fs/cgroup/there-is-no-such-cgroup"] {
        let attempt = Attempt { cgroup: path.into(), ..Attempt::new() };
        attempt.is_told(&[path, "is not a cgroup v2 directory", "--cgroup"]);
    }
}

#[test]
fn manifests_that_are_not_there() {
    let path = "/there-is-no-such-directory";
    let attempt = Attempt { manifests: path.into(), ..Attempt::new() };
    attempt.is_told(&["manifests in /there-is-no-such-directory"]);
}

#[test]
fn no_privileges() {
    let root = Attempt::new();
    // Where nobody may read it: the build's own folder may be root's.
    let etm = root.manifests.join("etm");
    // By a process of its own: a test beside this one that starts a program just then would hand
    // on the open file, and what is open for writing cannot be run.
    let copied = Command::new("install").arg("--mode=755").args([Path::new(ETM), &etm]).status();
    assert!(copied.expect("install, of coreutils").success());
    let setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let program = setpriv.iter().map(PathBuf::from).chain([etm]).collect();
    let folder = root.pin.parent().expect("the scratch folder").to_owned();
    let nobody = Attempt { program, ..root };
    let expected = ["no permission to use BPF: run as root with CAP_BPF"];
    nobody.is_told(&expected);
    // Nor where nobody may make folders, as in bpffs itself.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("a mode");
    nobody.is_told(&expected);
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
}

#[test]
fn maps_larger_than_the_kernel_makes() {
    for flag in ["--max-frontends", "--max-backends"] {
        let more = vec![format!("{flag}={}", u32::MAX)];
        let attempt = Attempt { more, ..Attempt::new() };
        attempt.is_told(&["no room for map ", &format!("lower {flag}")]);
    }
}

#[test]
fn maps_of_nothing() {
    let more = vec!["--max-slots=0".to_owned()];
    let attempt = Attempt { more, ..Attempt::new() };
    let output = attempt.run();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("invalid value '0' for '--max-slots <N>'"), "{said}");
}

#[test]
fn an_unknown_option_of_the_configuration() {
    let mut attempt = Attempt::new();
    let file = attempt.manifests.join("etm.conf");
    fs::write(&file, "max-backend: 7\n").expect("a file");
    let path = file.display().to_string();
    attempt.more = vec![format!("--config={path}")];
    attempt.is_told(&[&path, "unknown option max-backend", "max-backends"]);
}
