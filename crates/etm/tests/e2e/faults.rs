//! What the machine does not have is said in one clear line.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use etm_testkit::{BpfDir, Cgroup, Manifests, require_root};

use crate::scene::ETM;

struct Attempt {
    cgroup: Cgroup,
    pins: BpfDir,
    manifests: Manifests,
}

impl Attempt {
    fn new() -> Self {
        require_root().expect("privileges");
        Self {
            cgroup: Cgroup::new().expect("a cgroup"),
            pins: BpfDir::new().expect("a folder for pins"),
            manifests: Manifests::new().expect("a folder of manifests"),
        }
    }

    /// The arguments of an agent that would run; what comes later counts.
    fn agent(&self, program: &mut Command, more: &[&str]) -> Output {
        program
            .arg("agent")
            .arg("--manifests")
            .arg(self.manifests.path())
            .arg("--cgroup")
            .arg(self.cgroup.path())
            .arg("--pin")
            .arg(self.pins.path().join("etm"))
            .args(more)
            .output()
            .expect("etm runs")
    }
}

/// It ended with an error of one line, which has these parts.
#[track_caller]
fn assert_says(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{said}");
    let line = said.lines().last().expect("a line");
    assert!(line.starts_with("error: ") && parts.iter().all(|p| line.contains(p)), "{said}");
    assert!(output.stdout.is_empty(), "it never was ready");
}

fn agent_with(flag: &str, value: &str) -> Output {
    let attempt = Attempt::new();
    let mut program = Command::new(ETM);
    let own = ["--manifests", "--cgroup", "--pin"];
    assert!(own.contains(&flag));
    // A flag is taken once, so the others are given around it.
    let mut words = vec!["agent".to_owned()];
    let values = [
        attempt.manifests.path().display().to_string(),
        attempt.cgroup.path().display().to_string(),
        attempt.pins.path().join("etm").display().to_string(),
    ];
    for (name, usual) in own.into_iter().zip(values) {
        let value = if name == flag { value.to_owned() } else { usual };
        words.extend([name.to_owned(), value]);
    }
    program.args(words).output().expect("etm runs")
}

#[test]
fn pins_that_are_not_in_bpffs() {
    let folder = Manifests::new().expect("a folder");
    let path = folder.path().display().to_string();
    let output = agent_with("--pin", &path);
    assert_says(&output, &[&path, "is not on a BPF file system", "`mount -t bpf bpf /sys/fs/bpf`"]);
    assert_eq!(fs::read_dir(&path).expect("a folder").count(), 0);
}

#[test]
fn a_cgroup_that_is_none() {
    for path in ["/tmp", "/sys/fs/cgroup/there-is-no-such-cgroup"] {
        let output = agent_with("--cgroup", path);
        assert_says(&output, &[path, "is not a cgroup v2 directory", "--cgroup"]);
    }
}

#[test]
fn manifests_that_are_not_there() {
    let output = agent_with("--manifests", "/there-is-no-such-directory");
    assert_says(&output, &["manifests in /there-is-no-such-directory"]);
}

#[test]
fn no_privileges() {
    let attempt = Attempt::new();
    // Where nobody may read it: the build's own folder may be root's.
    let program = attempt.manifests.path().join("etm");
    fs::copy(ETM, &program).expect("a copy");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    let nobody = |pin: &std::path::Path| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
            .arg("agent")
            .arg("--manifests")
            .arg(attempt.manifests.path())
            .arg("--cgroup")
            .arg(attempt.cgroup.path())
            .arg("--pin")
            .arg(pin);
        command.output().expect("setpriv, of util-linux")
    };
    let expected = ["no permission to use BPF: run as root, or with CAP_BPF and CAP_NET_ADMIN"];
    // In a folder of root's, and beside it, where bpffs lets everyone make one.
    assert_says(&nobody(&attempt.pins.path().join("etm")), &expected);
    let beside = attempt.pins.path().with_extension("");
    let name = format!("{}-nobody", beside.file_name().expect("a name").to_string_lossy());
    let beside = beside.with_file_name(name);
    let output = nobody(&beside);
    let left = beside.exists();
    let _ = fs::remove_dir_all(&beside);
    assert_says(&output, &expected);
    assert!(!left, "nothing is left in bpffs");
}

#[test]
fn an_unknown_option_of_the_configuration() {
    let attempt = Attempt::new();
    let file = attempt.manifests.path().join("etm.conf");
    fs::write(&file, "max-backend: 7\n").expect("a file");
    let path = file.display().to_string();
    let output = attempt.agent(&mut Command::new(ETM), &["--config", &path]);
    assert_says(&output, &[&path, "unknown option max-backend", "max-backends"]);
}
