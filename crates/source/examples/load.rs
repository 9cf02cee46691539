//! Measures what a large directory costs: `cargo run --release -p etm-source --example load`.
//! Arguments: Services (default 10,000), endpoints of each (10), objects in a file (200).

use std::{error::Error, fmt::Write as _, fs, path::Path, time::Instant};

use etm_source::{Manifests, Options};

/// Pods are spread over so many nodes.
const NODES: usize = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let services = arguments.next().transpose()?.unwrap_or(10_000);
    let endpoints = arguments.next().transpose()?.unwrap_or(10);
    let per_file = arguments.next().transpose()?.unwrap_or(200).max(1);
    let directory = tempfile::tempdir()?;
    let bytes = write(directory.path(), services, endpoints, per_file)?;
    println!("{services} Services, {endpoints} endpoints each, {} MiB of YAML", bytes >> 20);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let before = resident()?;
        let start = Instant::now();
        let (mut manifests, snapshot, problems) =
            Manifests::open(directory.path(), Options::default())?;
        println!("open: {:?}, {} problems", start.elapsed(), problems.len());
        println!("memory, Snapshot included: {} MiB", (resident()? - before) >> 10);
        assert_eq!(snapshot.services.len(), services);

        let mut times = Vec::new();
        for round in 0..100_u8 {
            let text = pair(0, usize::from(round) % 5 + 1);
            let start = Instant::now();
            fs::write(directory.path().join("00000.yaml"), text)?;
            manifests.next().await?;
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        println!("one change, from write: p50 {:?}, p90 {:?}, p99 {:?}", at(50), at(90), at(99));
        Ok(())
    })
}

fn write(
    directory: &Path,
    services: usize,
    endpoints: usize,
    per: usize,
) -> std::io::Result<usize> {
    let mut bytes = 0;
    let numbers: Vec<usize> = (1..services).collect();
    fs::write(directory.join("00000.yaml"), pair(0, endpoints))?;
    for (file, numbers) in (1..).zip(numbers.chunks(per)) {
        let text: String = numbers.iter().map(|number| pair(*number, endpoints)).collect();
        bytes += text.len();
        fs::write(directory.join(format!("{file:05}.yaml")), text)?;
    }
    Ok(bytes)
}

fn pair(number: usize, endpoints: usize) -> String {
    let (high, low) = (number >> 8, number & 255);
    let mut text = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: svc-{number}, namespace: load}}\n\
         spec:\n  type: ClusterIP\n  clusterIP: 10.96.{high}.{low}\n  clusterIPs: [10.96.{high}.{low}]\n\
         \x20 ports:\n  - name: http\n    port: 80\n    targetPort: 8080\n\
         ---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: svc-{number}-a\n\
         \x20 namespace: load\n  labels:\n    kubernetes.io/service-name: svc-{number}\n\
         addressType: IPv4\nports:\n- name: http\n  port: 8080\n  protocol: TCP\nendpoints:\n"
    );
    for endpoint in 0..endpoints {
        let node = (number * 7 + endpoint * 501) % NODES;
        let _written = write!(
            text,
            "- addresses:\n  - 10.{}.{high}.{low}\n  conditions:\n    ready: true\n    serving: true\n\
             \x20   terminating: false\n  nodeName: node-{node}\n  zone: region-{}\n  targetRef:\n\
             \x20   kind: Pod\n    name: svc-{number}-{endpoint}\n    namespace: load\n",
            100 + endpoint,
            node % 3,
        );
    }
    text
}

/// Resident memory in KiB.
fn resident() -> Result<usize, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).ok_or("no VmRSS")?.parse()?)
}
