//! The lists alone, as the agent asks for them: what no way of following the cluster can be quicker
//! than.

use std::{path::Path, time::Instant};

use anyhow::{bail, ensure};
use etm_testkit::client;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper::Request;
use kube::{Client, client::Body};

/// Ends a streamed list.
const END: &[u8] = b"k8s.io/initial-events-end";

/// What is listed; the other two of the agent's lists are as good as empty here.
const PATHS: [&str; 2] = ["/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"];

const QUERY: &str = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                     &allowWatchBookmarks=true&timeoutSeconds=290";

/// What it took to get all lists, with connecting and without looking into them.
pub(crate) struct Lists {
    pub(crate) seconds: f64,
    pub(crate) bytes: f64,
}

/// Gets all lists at once.
pub(crate) fn get(kubeconfig: &Path) -> anyhow::Result<Lists> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let started = Instant::now();
        let client = client(kubeconfig).await?;
        let [services, slices] = PATHS.map(|path| list(client.clone(), path));
        let (services, slices) = tokio::try_join!(services, slices)?;
        let seconds = started.elapsed().as_secs_f64();
        Ok(Lists { seconds, bytes: (services + slices) as f64 })
    })
}

/// The size of a list.
async fn list(client: Client, path: &str) -> anyhow::Result<usize> {
    let request = Request::get(format!("{path}?{QUERY}")).body(Body::empty())?;
    let response = client.send(request).await?;
    ensure!(response.status().is_success(), "list {path}: {}", response.status());
    let mut frames = response.into_body().into_data_stream();
    let (mut bytes, mut last) = (0, Vec::new());
    while let Some(frame) = frames.next().await {
        let frame = frame?;
        bytes += frame.len();
        // The end may lie across two frames.
        last.extend_from_slice(&frame);
        if last.windows(END.len()).any(|window| window == END) {
            return Ok(bytes);
        }
        last.drain(..last.len().saturating_sub(END.len()));
    }
    bail!("the list of {path} has no end");
}
