//! What the API server tells whoever watches releases, and when: no node can know of it before.

use std::{
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use etm_api::Release;
use etm_dataplane::monotonic;
use etm_testkit::client;
use futures_util::{StreamExt as _, pin_mut};
use kube::{
    Api,
    api::{WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use tokio::runtime::Builder;

const PATIENCE: Duration = Duration::from_secs(30);

/// Seconds that a watch may last; kube allows for less than 295.
const MOST: u32 = 290;

/// The name of a release, its status, and when it was told.
type Status = (String, Value, Duration);

/// A watch of the releases of a namespace, which does nothing else, in a thread of its own. Whoever asks
/// again and again instead keeps the API server from what is measured.
pub(crate) struct Told {
    statuses: Receiver<anyhow::Result<Status>>,
}

impl Told {
    pub(crate) fn start(kubeconfig: &Path, namespace: &str) -> anyhow::Result<Self> {
        let kubeconfig = kubeconfig.to_owned();
        let (tell, statuses) = channel();
        let namespace = namespace.to_owned();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || {
            if let Err(error) = runtime.block_on(follow(&kubeconfig, &namespace, &tell)) {
                let _ = tell.send(Err(error.context("the watch of releases")));
            }
        });
        Ok(Self { statuses })
    }

    /// Waits until the status of a release is told to be so: with it, when that was told. What was told
    /// before it is passed over.
    pub(crate) fn until(
        &self,
        name: &str,
        is: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<(Value, Duration)> {
        loop {
            let told = self.statuses.recv_timeout(PATIENCE);
            let (of, status, at) =
                told.with_context(|| format!("waited in vain for the status of release {name}"))??;
            if of == name && is(&status) {
                return Ok((status, at));
            }
        }
    }
}

async fn follow(
    kubeconfig: &Path,
    namespace: &str,
    tell: &Sender<anyhow::Result<Status>>,
) -> anyhow::Result<()> {
    let releases = Api::<Release>::namespaced(client(kubeconfig).await?, namespace);
    let long = WatchParams::default().timeout(MOST);
    let events = releases.watch(&long, "0").await?;
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let at = monotonic();
        match event? {
            WatchEvent::Added(release) | WatchEvent::Modified(release) => {
                let name = release.metadata.name.unwrap_or_default();
                let _ = tell.send(Ok((name, json!(release.status), at)));
            }
            WatchEvent::Error(error) => bail!("{error}"),
            WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => {}
        }
    }
    bail!("it has ended")
}
