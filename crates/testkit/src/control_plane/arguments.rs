//! The command lines of a control plane's programs.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use super::credentials::Identity;

/// The addresses of Services, as most clusters have them, in both families.
const SERVICES: &str = "10.96.0.0/16,fd00:10:96::/112";

/// The addresses of Pods; each Node gets a `/24` and a `/64` of them.
const PODS: &str = "10.244.0.0/16,fd00:10:244::/48";

/// The files that the programs share.
pub(super) struct Files<'a> {
    pub(super) authority: &'a Path,
    pub(super) serving: &'a Identity,
    pub(super) tokens: &'a Identity,
}

/// etcd with its data and its sockets in one folder.
pub(super) fn etcd(folder: &Path, clients: &Path) -> Vec<OsString> {
    let clients = socket(clients);
    let peers = socket(&folder.join("peers.sock"));
    vec![
        flag("--name", "testkit"),
        flag("--data-dir", folder.join("data")),
        flag("--listen-client-urls", &clients),
        flag("--advertise-client-urls", &clients),
        flag("--listen-peer-urls", &peers),
        flag("--initial-advertise-peer-urls", &peers),
        flag("--initial-cluster", format!("testkit={peers}")),
        flag("--log-level", "warn"),
        // What is written is gone with the test anyway.
        "--unsafe-no-fsync".into(),
    ]
}

/// The API server, with the authorization of a cluster that kubeadm sets up.
pub(super) fn api_server(address: SocketAddr, etcd: &Path, files: &Files<'_>) -> Vec<OsString> {
    vec![
        flag("--bind-address", address.ip().to_string()),
        flag("--advertise-address", address.ip().to_string()),
        flag("--secure-port", address.port().to_string()),
        flag("--etcd-servers", socket(etcd)),
        flag("--tls-cert-file", &files.serving.certificate),
        flag("--tls-private-key-file", &files.serving.key),
        flag("--client-ca-file", files.authority),
        flag("--authorization-mode", "Node,RBAC"),
        flag("--enable-admission-plugins", "NodeRestriction"),
        flag("--allow-privileged", "true"),
        flag("--service-cluster-ip-range", SERVICES),
        flag("--service-account-issuer", "https://kubernetes.default.svc"),
        flag("--service-account-key-file", &files.tokens.certificate),
        flag("--service-account-signing-key-file", &files.tokens.key),
        // Without it a stop waits a minute for watches, which do not end by themselves.
        flag("--shutdown-watch-termination-grace-period", "1s"),
        // An address of loopback is refused as an endpoint of the Service `kubernetes`.
        flag("--endpoint-reconciler-type", "none"),
    ]
}

/// The controllers, each with the ServiceAccount and the rights of its own.
pub(super) fn controller_manager(kubeconfig: &Path, files: &Files<'_>) -> Vec<OsString> {
    vec![
        flag("--kubeconfig", kubeconfig),
        flag("--use-service-account-credentials", "true"),
        flag("--service-account-private-key-file", &files.tokens.key),
        flag("--root-ca-file", files.authority),
        flag("--allocate-node-cidrs", "true"),
        flag("--cluster-cidr", PODS),
        flag("--service-cluster-ip-range", SERVICES),
        // Each asks for an account of its own at its start; by default they wait for their turn.
        flag("--kube-api-qps", "1000"),
        flag("--kube-api-burst", "1000"),
        // Nobody asks for their metrics, and a port is one more thing that can be taken.
        flag("--secure-port", "0"),
        flag("--leader-elect", "false"),
    ]
}

/// The scheduler.
pub(super) fn scheduler(kubeconfig: &Path) -> Vec<OsString> {
    vec![
        flag("--kubeconfig", kubeconfig),
        flag("--secure-port", "0"),
        flag("--leader-elect", "false"),
    ]
}

fn flag(name: &str, value: impl Into<OsString>) -> OsString {
    let mut flag = OsString::from(name);
    flag.push("=");
    flag.push(value.into());
    flag
}

fn socket(path: &Path) -> String {
    format!("unix://{}", path.display())
}
