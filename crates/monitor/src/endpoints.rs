use std::time::Duration;

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client, api::ListParams};
use tokio::time::timeout;

use crate::{monitors::Trouble, subject::Subjects};

/// Label of a slice: the Service that it belongs to.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// How long the list may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lists the endpoints of a Service. They are listed when they are asked for, not watched: a monitor
/// is about one Service of maybe thousands, some times a minute.
///
/// # Errors
///
/// [`Trouble::Endpoints`] where the API server does not give them.
pub async fn endpoints(
    client: &Client,
    namespace: &str,
    service: &str,
) -> Result<Subjects, Trouble> {
    let api = Api::<EndpointSlice>::namespaced(client.clone(), namespace);
    // What the API server has in memory is as new as what the watches bring.
    let which = ListParams::default().labels(&format!("{SERVICE_NAME}={service}")).match_any();
    match timeout(PATIENCE, api.list(&which)).await {
        Ok(Ok(slices)) => Ok(Subjects::endpoints(namespace, &slices.items)),
        Ok(Err(kube::Error::Api(status))) => {
            Err(Trouble::Endpoints(format!("HTTP {}: {}", status.code, status.message)))
        }
        Ok(Err(error)) => Err(Trouble::Endpoints(etm_model::with_causes(&error))),
        Err(_) => Err(Trouble::Endpoints(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}
