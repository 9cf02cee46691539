use etm_model::HealthCheck;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Serialize;

use crate::agent::health::Health;

/// How much of the Service's traffic this node is to get, for load balancers that weigh.
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    service: Service<'a>,
    local_endpoints: usize,
    service_proxy_healthy: bool,
}

#[derive(Serialize)]
struct Service<'a> {
    namespace: &'a str,
    name: &'a str,
}

/// 200 where the Service has endpoints on this node and the node may get traffic, else 503.
pub(super) fn answer(check: Option<&HealthCheck>, health: Health) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    // The port is about to be closed.
    let Some(check) = check else { return response };
    let healthy = health.is_healthy();
    if check.local_endpoints > 0 && healthy {
        *response.status_mut() = StatusCode::OK;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(WEIGHT, check.local_endpoints.into());
    let body = Body {
        service: Service { namespace: &check.service.namespace, name: &check.service.name },
        local_endpoints: check.local_endpoints,
        service_proxy_healthy: healthy,
    };
    // Texts, a number and a bool can always be written.
    *response.body_mut() = serde_json::to_vec(&body).unwrap_or_default().into();
    response
}

#[cfg(test)]
mod tests {
    use etm_model::ObjectName;

    use super::*;

    const WELL: Health = Health { programmed: true, node_deleting: false };

    fn check(local_endpoints: usize) -> HealthCheck {
        HealthCheck { service: ObjectName::new("shop", "cart"), local_endpoints }
    }

    fn status(local_endpoints: usize, health: Health) -> u16 {
        answer(Some(&check(local_endpoints)), health).status().as_u16()
    }

    #[test]
    fn only_a_healthy_node_with_endpoints_is_well() {
        assert_eq!(status(2, WELL), 200);
        assert_eq!(status(0, WELL), 503);
        assert_eq!(status(2, Health { node_deleting: true, ..WELL }), 503);
        assert_eq!(status(2, Health { programmed: false, ..WELL }), 503);
        assert_eq!(answer(None, WELL).status(), 503);
    }

    #[tokio::test]
    async fn the_answer_says_why() {
        use http_body_util::BodyExt as _;

        let going = Health { node_deleting: true, ..WELL };
        let response = answer(Some(&check(2)), going);
        assert_eq!(response.headers()["X-Load-Balancing-Endpoint-Weight"], "2");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let expected = r#"{"service":{"namespace":"shop","name":"cart"},"localEndpoints":2,"serviceProxyHealthy":false}"#;
        assert_eq!(body, expected);
    }
}
