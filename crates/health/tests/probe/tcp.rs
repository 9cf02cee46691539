use std::time::Duration;

use etm_health::{ProbeFailure, probe::ask};
use etm_model::ProbeKind;
use socket2::{Domain, Socket, Type};

use crate::servers::{Does, hasty, nobody, serve, target};

#[tokio::test]
async fn a_connection_that_is_accepted_is_enough() {
    let address = serve(Does::Hangs).await;
    assert_eq!(ask(&target(address, ProbeKind::Tcp)).await, Ok(()));
}

#[tokio::test]
async fn where_nobody_listens_it_is_refused() {
    let address = nobody().await;
    assert_eq!(ask(&target(address, ProbeKind::Tcp)).await, Err(ProbeFailure::Refused));
}

#[tokio::test]
async fn a_black_hole_runs_into_the_timeout() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    // The kernel drops each SYN once its queue is full.
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let waiting = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            waiting.set_nonblocking(true).unwrap();
            let _ = waiting.connect(&address.into());
            waiting
        })
        .collect();
    let timeout = Duration::from_millis(100);
    let answer = ask(&hasty(address, ProbeKind::Tcp)).await;
    assert_eq!(answer, Err(ProbeFailure::TimedOut(timeout)));
    drop((waiting, socket));
}
