//! Which Pods are bound to a node, as the API server tells it.

use std::time::Duration;

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

/// How long to wait before the next try, while the API server is away.
const PAUSE: Duration = Duration::from_millis(100);

/// News of Pods.
#[derive(Debug)]
pub(super) enum News {
    /// These are there, and no others.
    All(Vec<Pod>),
    /// It is new, or has changed.
    Changed(Box<Pod>),
    /// It is gone.
    Gone(Box<Pod>),
}

/// Lists and follows the Pods of a node until nobody listens. Whatever ends a watch, the next
/// list tells what was missed.
pub(super) async fn follow(pods: Api<Pod>, node: String, news: UnboundedSender<News>) {
    let selector = format!("spec.nodeName={node}");
    while !news.is_closed() {
        // The API server may be away on purpose: that is for the test to judge, not for a node.
        let _ = list_and_watch(&pods, &selector, &news).await;
        sleep(PAUSE).await;
    }
}

async fn list_and_watch(
    pods: &Api<Pod>,
    selector: &str,
    news: &UnboundedSender<News>,
) -> Result<(), kube::Error> {
    let list = pods.list(&ListParams::default().fields(selector)).await?;
    let version = list.metadata.resource_version.unwrap_or_default();
    let _ = news.send(News::All(list.items));
    let params = WatchParams::default().fields(selector);
    let mut events = pods.watch(&params, &version).await?.boxed();
    while let Some(event) = events.next().await {
        let item = match event? {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => News::Changed(Box::new(pod)),
            WatchEvent::Deleted(pod) => News::Gone(Box::new(pod)),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        if news.send(item).is_err() {
            break;
        }
    }
    Ok(())
}
