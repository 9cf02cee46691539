//! The agent in the container that the shipped DaemonSet describes: in the root of the image, with
//! the mounts, variables, capabilities and account that it names, and nothing else of the host.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};

use etm_testkit::{Agent, AgentBuilder, Caller, Protocol};
use serde_json::{Value, json};

use crate::dns::NameServer;
use crate::forward::{Forward, within};
use crate::image::Image;
use crate::metrics;
use crate::reach::peers;
use crate::scene::{Scene, address_of, service};
use crate::shipped::{self, ACCOUNT, NAMESPACE};

/// Where a Pod finds what it is to the API server.
const CREDENTIALS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Capabilities as the kernel numbers them (linux/capability.h).
const CAPABILITIES: [(&str, u32); 4] =
    [("NET_ADMIN", 12), ("SYS_ADMIN", 21), ("PERFMON", 38), ("BPF", 39)];

/// What a kubelet would make of the shipped DaemonSet.
struct Container {
    spec: Value,
    container: Value,
    image: Image,
}

impl Container {
    fn shipped(scene: &Scene) -> Self {
        let objects = shipped::objects(scene.cluster);
        let spec =
            shipped::object(&objects, "DaemonSet", ACCOUNT)["spec"]["template"]["spec"].clone();
        assert_eq!(spec["containers"].as_array().expect("containers").len(), 1);
        let container = spec["containers"][0].clone();
        Self { spec, container, image: Image::build() }
    }

    fn capabilities(&self) -> Vec<&str> {
        let capabilities = &self.container["securityContext"]["capabilities"];
        assert_eq!(capabilities["drop"], json!(["ALL"]));
        let added = capabilities["add"].as_array().expect("capabilities").iter();
        added.map(|capability| capability.as_str().expect("a name")).collect()
    }

    /// The folder of the host behind a mount, and whether it is only read.
    fn mounts(&self) -> Vec<(String, String, bool)> {
        let volumes = self.spec["volumes"].as_array().expect("volumes");
        let mounts = self.container["volumeMounts"].as_array().expect("mounts").iter();
        let mounts = mounts.map(|mount| {
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
            let text = |value: &Value| value.as_str().expect("a path").to_owned();
            let source = text(&volume.expect("a volume")["hostPath"]["path"]);
            (source, text(&mount["mountPath"]), mount["readOnly"] == true)
        });
        mounts.collect()
    }

    /// A script that becomes a program of the container, once it is in mounts of its own.
    fn script(&self, scene: &Scene) -> PathBuf {
        let root = self.image.root();
        let root = root.display();
        let mut lines = vec![
            "set -eu".to_owned(),
            "unset KUBECONFIG".to_owned(),
            format!("mount --bind {root} {root}"),
            format!("mkdir -p {root}/proc"),
            format!("mount -t proc proc {root}/proc"),
        ];
        let credentials = (credentials(scene), CREDENTIALS.to_owned(), true);
        for (source, target, read_only) in self.mounts().into_iter().chain([credentials]) {
            // The machine's own agent may keep its state there.
            let own = source == "/var/lib/etm";
            let source = if own { scene.state.path().display().to_string() } else { source };
            lines.push(format!("mkdir -p {root}{target}"));
            lines.push(format!("mount --rbind {source} {root}{target}"));
            if read_only {
                lines.push(format!("mount -o remount,bind,ro {root}{target}"));
            }
        }
        let names = scene.state.path().join("resolv.conf");
        fs::write(&names, "nameserver 127.0.0.2\nnameserver 127.0.0.1\n").expect("a file");
        lines.push(format!("mkdir -p {root}/etc"));
        lines.push(format!(": >{root}/etc/resolv.conf"));
        lines.push(format!("mount --bind {} {root}/etc/resolv.conf", names.display()));
        let context = &self.container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true);
        lines.push(format!("mount -o remount,bind,ro {root}"));
        let kept = self.capabilities().join("|").to_lowercase();
        lines.push(format!(
            "all=$(capsh --decode=1ffffffffff | sed 's/.*=//' | tr , '\\n')\n\
             dropped=$(echo \"$all\" | grep -vxE 'cap_({kept})' | paste -sd,)"
        ));
        assert_eq!(context["allowPrivilegeEscalation"], false);
        lines.push("program=$1\nshift".to_owned());
        lines.push(format!(
            "exec capsh --chroot={root} --no-new-privs --drop=$dropped --shell=$program -- \"$@\"\n"
        ));
        let path = scene.state.path().join("container");
        fs::write(&path, lines.join("\n")).expect("a script");
        path
    }

    /// The agent, in the node's network; `server` leads to the API server from there.
    fn agent(&self, scene: &Scene, server: &str) -> AgentBuilder {
        assert_eq!(self.spec["hostNetwork"], true);
        assert_eq!(self.container["args"], json!(["agent"]));
        let script = self.script(scene);
        let words = ["unshare", "--mount", "--propagation", "slave", "sh"].map(OsString::from);
        let mut agent = Agent::of("/etm")
            .place(&scene.node.place())
            .through(words.into_iter().chain([script.into()]));
        for variable in self.container["env"].as_array().expect("variables") {
            let name = variable["name"].as_str().expect("a name");
            let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
            let value = match variable["value"].as_str() {
                // Those of this test instead of the machine's.
                Some("/host/cgroup") => {
                    inside("/sys/fs/cgroup", "/host/cgroup", scene.cgroup.path())
                }
                Some("/host/bpf/etm") => {
                    inside("/sys/fs/bpf", "/host/bpf", scene.pins.path()) + "/etm"
                }
                Some(value) => value.to_owned(),
                None => {
                    assert_eq!(field, "spec.nodeName");
                    scene.namespace.clone()
                }
            };
            agent = agent.env(name, value);
        }
        // As the kubelet tells it: the name that the certificate has, where nothing answers.
        let api = scene.cluster.address();
        agent
            .env("KUBERNETES_SERVICE_HOST", api.ip().to_string())
            .env("KUBERNETES_SERVICE_PORT", api.port().to_string())
            .env("ETM_API_SERVER", server)
    }
}

/// The path of a file of the host in the container.
fn inside(host: &str, container: &str, path: &Path) -> String {
    let path = path.strip_prefix(host).expect("a file of the mount");
    Path::new(container).join(path).display().to_string()
}

/// What a kubelet projects for a ServiceAccount.
fn credentials(scene: &Scene) -> String {
    let folder = scene.state.path().join("credentials");
    fs::create_dir(&folder).expect("a folder");
    let kubeconfig = scene.cluster.service_account(NAMESPACE, ACCOUNT).expect("a token");
    let text = fs::read_to_string(kubeconfig).expect("a kubeconfig");
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let authority = &config["clusters"][0]["cluster"]["certificate-authority"];
    fs::copy(authority.as_str().expect("a path"), folder.join("ca.crt")).expect("a certificate");
    let token = config["users"][0]["user"]["token"].as_str().expect("a token");
    fs::write(folder.join("token"), token).expect("a token");
    fs::write(folder.join("namespace"), NAMESPACE).expect("a namespace");
    folder.display().to_string()
}

/// A line of what the kernel says of a process.
fn status(agent: &Agent, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{}/status", agent.id())).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
    line.expect("a line").to_owned()
}

#[test]
fn it_serves_with_these_rights_and_no_others() {
    let scene = Scene::new();
    shipped::apply(scene.cluster);
    let forward = Forward::start(&scene.node, scene.cluster.address());
    let container = Container::shipped(&scene);
    let backend = scene.backend("web-0");
    let mut service: Value = service("web").into();
    service["spec"]["type"] = "NodePort".into();
    let made = scene.create("services", service);
    let web = address_of(&made);
    let node_port = made["spec"]["ports"][0]["nodePort"].as_u64().expect("a port");
    scene.slice("web-1", "web", &[backend.pod.ipv4().into()]);

    let agent = container.agent(&scene, &forward.address().to_string()).start().expect("an agent");
    let named = |name: &&str| CAPABILITIES.iter().find(|(known, _)| known == name);
    let held = container.capabilities();
    let held = held.iter().map(|name| 1_u64 << named(name).expect("a known one").1);
    let held = format!("{:016x}", held.sum::<u64>());
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status(&agent, set), held, "{set}");
    }
    assert_eq!(status(&agent, "NoNewPrivs"), "1");
    assert_eq!(scene.members(web), Some(1), "{}", agent.stderr());

    let (_pod, caller) = scene.caller();
    let call = caller.call(web).expect("a call");
    assert_eq!(call.pod(), Some("web-0"), "{call:?}");
    assert_eq!(call.peer, Some(web), "{call:?}");
    // This is what the host's network is for.
    let port = u16::try_from(node_port).expect("a port");
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let own = Caller::new(&scene.node.place().within(&scene.cgroup), Protocol::Tcp);
    let call = own.call(loopback).expect("a call");
    assert_eq!(call.pod(), Some("web-0"), "{call:?}");

    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = container.container[probe]["httpGet"].clone();
        let address = format!("{}:{}", get["host"].as_str().expect("a host"), get["port"]);
        let stream = within(&scene.node, move || TcpStream::connect(address));
        let answer =
            metrics::ask(stream.expect("an admin server"), get["path"].as_str().expect("a path"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{probe}: {answer}");
    }
    let stream = within(&scene.node, || TcpStream::connect((Ipv4Addr::LOCALHOST, 9440)));
    let problems = metrics::ask(stream.expect("an admin server"), "/problems");
    assert!(problems.ends_with("\r\n\r\n[]"), "{problems}");
    let (ended, log) = agent.stop().expect("an end");
    assert!(ended.success() && !log.contains("WARN"), "{log}");
}

#[test]
fn it_finds_the_api_server_by_a_name_whatever_is_silent() {
    let scene = Scene::new();
    shipped::apply(scene.cluster);
    let forward = Forward::start(&scene.node, scene.cluster.address());
    // The first name server, and of the name's addresses the one that the resolver puts first.
    let silent = Ipv4Addr::new(127, 0, 0, 2);
    let _mute = within(&scene.node, move || UdpSocket::bind((silent, 53)).expect("port 53"));
    let port = forward.address().port();
    let _deaf = within(&scene.node, move || TcpListener::bind((silent, port)).expect("a port"));
    let names = NameServer::start(&scene.node, [silent, scene.node.ipv4()]);
    let web = scene.service("web");
    let server = format!("api.example.org:{port}");
    let container = Container::shipped(&scene);
    let agent = container.agent(&scene, &server).start().expect("an agent");
    scene.until_members(web, Some(0));
    assert!(peers(&agent).contains(&forward.address()), "{:?}", peers(&agent));
    let asked = names.asked();
    assert!(asked.iter().all(|name| name == "api.example.org") && !asked.is_empty(), "{asked:?}");
}
