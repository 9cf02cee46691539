//! The nftables mode (KEP-3866): one verdict map for all Services, a chain a Service.

use std::fmt::Write as _;

use super::{MASQUERADE, POD_NETWORK};
use crate::cluster::{Cluster, PORT, Service};

/// The table as a file for `nft`.
pub(super) fn ruleset(cluster: &Cluster) -> String {
    let mut text = String::from(BASE);
    text.push_str("table ip kube-proxy {\n");
    text.push_str(&format!(
        "  chain mark-for-masquerade {{ meta mark set meta mark or {MASQUERADE}; }}\n  \
         chain masquerading {{ meta mark and {MASQUERADE} == 0 return; \
         meta mark set meta mark xor {MASQUERADE}; masquerade fully-random; }}\n"
    ));
    for service in &cluster.services {
        chains(&mut text, service);
    }
    maps(&mut text, cluster);
    text.push_str("}\n");
    text
}

fn chains(text: &mut String, service: &Service) {
    let protocol = service.protocol.to_lowercase();
    for ip in &service.endpoints {
        let _ = writeln!(
            text,
            "  chain {} {{ ip saddr {ip} jump mark-for-masquerade; \
             meta l4proto {protocol} dnat to {ip}:{}; }}",
            endpoint(service, ip),
            service.target,
        );
    }
    if service.endpoints.is_empty() {
        return;
    }
    let choices = service.endpoints.iter().enumerate();
    let choices: Vec<String> =
        choices.map(|(number, ip)| format!("{number} : goto {}", endpoint(service, ip))).collect();
    let _ = writeln!(
        text,
        "  chain {} {{ ip daddr {} {protocol} dport {PORT} ip saddr != {POD_NETWORK} \
         jump mark-for-masquerade; numgen random mod {} vmap {{ {} }}; }}",
        chain(service),
        service.ip,
        choices.len(),
        choices.join(", "),
    );
}

fn maps(text: &mut String, cluster: &Cluster) {
    let element = |service: &Service, verdict: &str| {
        format!("    {} . {} . {PORT} : {verdict},\n", service.ip, service.protocol.to_lowercase())
    };
    let (mut services, mut none) = (String::new(), String::new());
    for service in &cluster.services {
        if service.endpoints.is_empty() {
            none.push_str(&element(service, "goto reject-chain"));
        } else {
            services.push_str(&element(service, &format!("goto {}", chain(service))));
        }
    }
    for (name, elements) in [("service-ips", services), ("no-endpoint-services", none)] {
        if elements.is_empty() {
            // As it is without any: nft reads no empty list.
            continue;
        }
        let _ = writeln!(
            text,
            "  map {name} {{\n    type ipv4_addr . inet_proto . inet_service : verdict;\n    \
             elements = {{\n{elements}    }}\n  }}"
        );
    }
}

fn chain(service: &Service) -> String {
    let protocol = service.protocol.to_lowercase();
    // The hash in front of kube-proxy's names has eight characters.
    format!("service-{:08X}-default/{}/{protocol}/main", service.ip.to_bits(), service.name)
}

fn endpoint(service: &Service, ip: &std::net::Ipv4Addr) -> String {
    let protocol = service.protocol.to_lowercase();
    format!(
        "endpoint-{:08X}-default/{}/{protocol}/main__{ip}/{}",
        ip.to_bits(),
        service.name,
        service.target
    )
}

/// The hooks, each with what kube-proxy lets run there.
const BASE: &str = "\
table ip kube-proxy {
  map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  map no-endpoint-nodeports { type inet_proto . inet_service : verdict; }
  map no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  map service-nodeports { type inet_proto . inet_service : verdict; }
  set cluster-ips { type ipv4_addr; }
  set nodeport-ips { type ipv4_addr; }
  chain reject-chain { reject; }
  chain mark-for-masquerade {}
  chain masquerading {}
  chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
  chain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }
  chain nodeport-endpoints-check {
    ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports;
  }
  chain cluster-ips-check { ip daddr @cluster-ips reject; }
  chain services {
    ip daddr . meta l4proto . th dport vmap @service-ips;
    ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports;
  }
  chain filter-prerouting {
    type filter hook prerouting priority -110; ct state new jump firewall-check;
  }
  chain filter-input {
    type filter hook input priority -110;
    ct state new jump nodeport-endpoints-check; ct state new jump service-endpoints-check;
  }
  chain filter-forward {
    type filter hook forward priority -110;
    ct state new jump service-endpoints-check; ct state new jump cluster-ips-check;
  }
  chain filter-output {
    type filter hook output priority -110;
    ct state new jump service-endpoints-check; ct state new jump firewall-check;
  }
  chain filter-output-post-dnat {
    type filter hook output priority -90; ct state new jump cluster-ips-check;
  }
  chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
  chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
";
