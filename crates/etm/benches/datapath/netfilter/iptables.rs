//! The iptables mode: one list of all Services, a chain a Service, a chain an endpoint.

use std::fmt::Write as _;

use super::{MASQUERADE, POD_NETWORK};
use crate::cluster::{Cluster, PORT, Service};

/// The tables as a file for `iptables-restore`.
pub(super) fn ruleset(cluster: &Cluster) -> String {
    let (with, without): (Vec<_>, Vec<_>) =
        cluster.services.iter().partition(|service| !service.endpoints.is_empty());
    let mut text = filter(&without);
    text.push_str(
        "*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n\
         :KUBE-SERVICES -\n:KUBE-NODEPORTS -\n:KUBE-POSTROUTING -\n:KUBE-MARK-MASQ -\n",
    );
    for service in &with {
        let _ = writeln!(text, ":{} -", chain(service));
        for number in 0..service.endpoints.len() {
            let _ = writeln!(text, ":{} -", endpoint(service, number));
        }
    }
    let _ = write!(
        text,
        "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
         -A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING\n\
         -A KUBE-POSTROUTING -m mark ! --mark {MASQUERADE}/{MASQUERADE} -j RETURN\n\
         -A KUBE-POSTROUTING -j MARK --xor-mark {MASQUERADE}\n\
         -A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" \
         -j MASQUERADE --random-fully\n\
         -A KUBE-MARK-MASQ -j MARK --or-mark {MASQUERADE}\n"
    );
    for service in &with {
        rules(&mut text, service);
    }
    text.push_str(
        "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports\" \
         -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\nCOMMIT\n",
    );
    text
}

fn filter(without: &[&Service]) -> String {
    let mut text = String::from(
        "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:KUBE-SERVICES -\n\
         :KUBE-EXTERNAL-SERVICES -\n:KUBE-FORWARD -\n:KUBE-PROXY-FIREWALL -\n:KUBE-FIREWALL -\n",
    );
    for hook in ["INPUT", "FORWARD", "OUTPUT"] {
        let new = "-m conntrack --ctstate NEW -m comment --comment";
        let _ = write!(
            text,
            "-A {hook} {new} \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL\n\
             -A {hook} {new} \"kubernetes service portals\" -j KUBE-SERVICES\n\
             -A {hook} -j KUBE-FIREWALL\n"
        );
    }
    text.push_str("-A FORWARD -j KUBE-FORWARD\n");
    for service in without {
        let _ = writeln!(
            text,
            "-A KUBE-SERVICES {} -m comment --comment \"default/{}:main has no endpoints\" \
             -j REJECT --reject-with icmp-port-unreachable",
            address(service),
            service.name,
        );
    }
    text.push_str("COMMIT\n");
    text
}

fn rules(text: &mut String, service: &Service) {
    let (name, chain, to) = (&service.name, chain(service), address(service));
    let cluster_ip = format!("{to} -m comment --comment \"default/{name}:main cluster IP\"");
    let _ = write!(
        text,
        "-A KUBE-SERVICES {cluster_ip} -j {chain}\n\
         -A {chain} ! -s {POD_NETWORK} {cluster_ip} -j KUBE-MARK-MASQ\n"
    );
    let protocol = service.protocol.to_lowercase();
    for (number, ip) in service.endpoints.iter().enumerate() {
        let (rest, endpoint) = (service.endpoints.len() - number, endpoint(service, number));
        let comment =
            format!("-m comment --comment \"default/{name}:main -> {ip}:{}\"", service.target);
        let chance = match rest {
            1 => String::new(),
            _ => format!(" -m statistic --mode random --probability {:.10}", 1.0 / rest as f64),
        };
        let _ = write!(
            text,
            "-A {chain} {comment}{chance} -j {endpoint}\n\
             -A {endpoint} -s {ip}/32 -m comment --comment \"default/{name}:main\" \
             -j KUBE-MARK-MASQ\n\
             -A {endpoint} -p {protocol} -m comment --comment \"default/{name}:main\" \
             -m {protocol} -j DNAT --to-destination {ip}:{}\n",
            service.target,
        );
    }
}

fn address(service: &Service) -> String {
    let protocol = service.protocol.to_lowercase();
    format!("-d {}/32 -p {protocol} -m {protocol} --dport {PORT}", service.ip)
}

// The hash at the end of kube-proxy's names has sixteen characters.
fn chain(service: &Service) -> String {
    format!("KUBE-SVC-{:016X}", service.ip.to_bits())
}

fn endpoint(service: &Service, number: usize) -> String {
    format!("KUBE-SEP-{:08X}{number:08X}", service.ip.to_bits())
}
