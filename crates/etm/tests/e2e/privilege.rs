//! What a process without the right to do so is told.

use std::process::{Command, Output};

use crate::scene::{ETM, Scene};

const TOLD: &str = "error: no permission to use BPF: run as root with CAP_BPF, CAP_NET_ADMIN and \
                    CAP_PERFMON\n";

/// Runs the agent as root with these capabilities and no others.
fn agent(scene: &Scene, held: &str) -> Output {
    Command::new("setpriv")
        .arg(format!("--bounding-set=-all{held}"))
        .args([ETM, "agent", "--node", "node-a", "--manifests"])
        .arg(scene.manifests.path())
        .arg("--cgroup")
        .arg(scene.cgroup.path())
        .arg("--pin")
        .arg(scene.pin())
        .output()
        .expect("setpriv runs")
}

#[test]
fn a_missing_capability_is_told_before_anything_is_made() {
    let scene = Scene::new();
    for held in ["", ",+bpf", ",+bpf,+net_admin", ",+net_admin,+perfmon"] {
        let output = agent(&scene, held);
        assert_eq!(output.status.code(), Some(1), "{held}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), TOLD, "{held}");
        assert!(!scene.pin().exists(), "{held}");
    }
}
