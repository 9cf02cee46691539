use std::time::Duration;

use etm_health::{ProbeFailure, probe::ask};
use etm_model::ProbeKind;

use crate::servers::{Does, hasty, http, nobody, serve, target};

async fn answer(does: Does) -> Result<(), ProbeFailure> {
    ask(&target(serve(does).await, http("/"))).await
}

#[tokio::test]
async fn a_status_from_200_to_399_is_good() {
    let good = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    ];
    for answered in good {
        assert_eq!(answer(Does::Answers(answered)).await, Ok(()), "{answered}");
    }
}

#[tokio::test]
async fn another_status_is_not() {
    for (answered, status) in [
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404),
        ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", 503),
    ] {
        assert_eq!(answer(Does::Answers(answered)).await, Err(ProbeFailure::Status(status)));
    }
}

#[tokio::test]
async fn path_query_and_host_are_those_of_the_policy() {
    let kind =
        ProbeKind::Http { path: "/healthz?deep=1".into(), host: Some("shop.example".into()) };
    assert_eq!(ask(&target(serve(Does::Echoes).await, kind)).await, Ok(()));
}

#[tokio::test]
async fn a_server_that_hangs_runs_into_the_timeout() {
    let timed_out = ProbeFailure::TimedOut(Duration::from_millis(100));
    let target = hasty(serve(Does::Hangs).await, http("/"));
    assert_eq!(ask(&target).await, Err(timed_out));
}

#[tokio::test]
async fn a_connection_that_breaks_is_told_by_how_it_did() {
    assert_eq!(answer(Does::Resets).await, Err(ProbeFailure::Reset));
    let closed = "the connection was closed before an answer";
    assert_eq!(
        answer(Does::Closes).await.map_err(|failure| failure.to_string()),
        Err(closed.into())
    );
    let refused = ask(&target(nobody().await, http("/"))).await;
    assert_eq!(refused, Err(ProbeFailure::Refused));
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    let answer = answer(Does::Answers("SSH-2.0-OpenSSH_9.2\r\n\r\n")).await;
    assert!(matches!(answer, Err(ProbeFailure::Other(_))), "{answer:?}");
}
