use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use etm_health::{ProbeFailure, Prober, Target};
use etm_model::{ObjectName, Probe, ProbeKind, Protocol, ServicePortName};
use tokio::{io::AsyncReadExt, net::TcpListener};

use crate::servers::{Does, http, nobody, serve, target};

fn service() -> Arc<ServicePortName> {
    let service = ObjectName::new("shop", "web");
    Arc::new(ServicePortName { service, port: "".into(), protocol: Protocol::Tcp })
}

fn every_second(address: SocketAddr, kind: ProbeKind) -> Target {
    let interval = Duration::from_secs(1);
    let probe = Probe { interval, timeout: interval, ..Probe::new(kind.clone()) };
    Target { probe: Arc::new(probe), ..target(address, kind) }
}

#[tokio::test]
async fn results_come_again_and_again_until_nobody_asks() {
    let good = serve(Does::Answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let bad = nobody().await;
    let (prober, mut results) = Prober::start("node-1", 8);
    let targets = [good, bad].map(|address| every_second(address, http("/")));
    prober.set(&service(), targets.clone());
    let mut seen = [0; 2];
    while seen.iter().any(|times| *times < 2) {
        let probed = results.recv().await.unwrap();
        let at = targets.iter().position(|target| target.backend == probed.backend).unwrap();
        let expected = [Ok(()), Err(ProbeFailure::Refused)];
        assert_eq!(probed.result, expected[at]);
        assert_eq!(probed.probe, targets[at].probe);
        seen[at] += 1;
    }
    prober.set(&service(), []);
    drop(prober);
    // What was under way may still be told; then the channel ends with the task.
    while results.recv().await.is_some() {}
}

#[tokio::test]
async fn a_thousand_targets_are_probed_by_so_many_at_once() {
    const LIMIT: usize = 16;
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&open), Arc::clone(&most));
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (open, most) = (Arc::clone(&counted.0), Arc::clone(&counted.1));
            tokio::spawn(async move {
                most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let mut request = [0; 1_024];
                let _ = stream.read(&mut request).await;
                // Many meet here.
                tokio::time::sleep(Duration::from_millis(5)).await;
                open.fetch_sub(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            });
        }
    });
    let (prober, mut results) = Prober::start("node-1", LIMIT);
    // All of 127.0.0.0/8 is loopback: each target has an address of its own.
    let address = |number: u32| SocketAddr::from((Ipv4Addr::from(0x7f01_0000 + number), port));
    let targets = (0..1_000).map(|number| {
        let mut target = every_second(address(number), http("/"));
        let timeout = Duration::from_secs(60);
        target.probe = Arc::new(Probe { timeout, ..Probe::clone(&target.probe) });
        target
    });
    prober.set(&service(), targets);
    let mut seen = BTreeMap::new();
    while seen.len() < 1_000 {
        let probed = results.recv().await.unwrap();
        assert_eq!(probed.result, Ok(()));
        *seen.entry(probed.backend).or_insert(0) += 1;
    }
    assert!((1..=LIMIT).contains(&most.load(Ordering::SeqCst)));
}

#[tokio::test]
async fn a_probe_that_hangs_keeps_no_other_from_its_answer() {
    let hangs = serve(Does::Hangs).await;
    let good = serve(Does::Hangs).await;
    let (prober, mut results) = Prober::start("node-1", 2);
    let hanging = every_second(hangs, http("/"));
    let timeout = Duration::from_secs(3_600);
    let hanging =
        Target { probe: Arc::new(Probe { timeout, ..Probe::clone(&hanging.probe) }), ..hanging };
    let fine = every_second(good, ProbeKind::Tcp);
    prober.set(&service(), [hanging, fine.clone()]);
    // Were the hanging one asked again each time that it is due, it would soon fill both places.
    for _ in 0..4 {
        let probed = results.recv().await.unwrap();
        assert_eq!((probed.backend, probed.result), (fine.backend, Ok(())));
    }
}
