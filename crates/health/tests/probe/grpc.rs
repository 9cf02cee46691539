use std::{net::SocketAddr, time::Duration};

use etm_health::{ProbeFailure, probe::ask};
use etm_model::ProbeKind;
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tonic_health::{ServingStatus, server::health_reporter};

use crate::servers::{Does, hasty, nobody, serve, target};

fn grpc(service: &str) -> ProbeKind {
    ProbeKind::Grpc { service: service.into() }
}

/// A health service that says this of the service `shop`, and of the server that it serves.
async fn health(status: ServingStatus) -> SocketAddr {
    let (reporter, server) = health_reporter();
    reporter.set_service_status("shop", status).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(server.clone());
            let serving = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test]
async fn a_server_or_a_service_that_serves_is_well() {
    let address = health(ServingStatus::Serving).await;
    assert_eq!(ask(&target(address, grpc(""))).await, Ok(()));
    assert_eq!(ask(&target(address, grpc("shop"))).await, Ok(()));
}

#[tokio::test]
async fn one_that_does_not_serve_is_not() {
    let address = health(ServingStatus::NotServing).await;
    let not_serving = Err(ProbeFailure::NotServing("NOT_SERVING"));
    assert_eq!(ask(&target(address, grpc("shop"))).await, not_serving);
    assert_eq!(ask(&target(address, grpc(""))).await, Ok(()));
    let unknown = health(ServingStatus::Unknown).await;
    assert_eq!(ask(&target(unknown, grpc("shop"))).await, Err(ProbeFailure::NotServing("UNKNOWN")));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_by_the_call() {
    let address = health(ServingStatus::Serving).await;
    let answer = ask(&target(address, grpc("other"))).await;
    assert!(matches!(answer, Err(ProbeFailure::Grpc(_))), "{answer:?}");
}

#[tokio::test]
async fn a_server_that_breaks_or_hangs_is_told_by_how_it_does() {
    let timed_out = ProbeFailure::TimedOut(Duration::from_millis(100));
    let hangs = hasty(serve(Does::Hangs).await, grpc(""));
    assert_eq!(ask(&hangs).await, Err(timed_out));
    let refused = ask(&target(nobody().await, grpc(""))).await;
    assert_eq!(refused, Err(ProbeFailure::Refused));
    assert_eq!(ask(&target(serve(Does::Resets).await, grpc(""))).await, Err(ProbeFailure::Reset));
    assert!(ask(&target(serve(Does::Closes).await, grpc(""))).await.is_err());
    let http = Does::Answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert!(ask(&target(serve(http).await, grpc(""))).await.is_err());
}
