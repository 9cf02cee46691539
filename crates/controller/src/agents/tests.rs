use std::path::Path;

use etm_outcomes::{Listener, NAME, Report};
use tokio::net::TcpListener;

use super::*;

fn report() -> Report {
    let backend = BackendOutcomes {
        address: "10.0.0.1".parse().unwrap(),
        port: 80,
        protocol: "TCP".to_owned(),
        established: 7,
        rtt: 700,
        refused: 2,
        timed_out: 1,
        reset: 3,
    };
    Report { backends: vec![backend] }
}

/// An agent that answers as long as the test runs; it gives where it listens.
async fn agent(folder: &Path) -> SocketAddr {
    let mut listener =
        Listener::open("127.0.0.1:0".parse().unwrap(), Identity::new(folder)).await.unwrap();
    let address = listener.address();
    tokio::spawn(async move {
        loop {
            listener.next().await.answer(report());
        }
    });
    address
}

#[tokio::test]
async fn of_one_that_never_answers_it_is_told_and_the_others_count() {
    let folder = tempfile::tempdir().unwrap();
    etm_testkit::certificate(folder.path(), NAME).unwrap();
    let answers = agent(folder.path()).await;
    // It accepts and never says a word.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let mute = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
        }
    });
    let agents =
        Agents { identity: Identity::new(folder.path()), at: AgentsAt::Addresses(Vec::new()) };
    let question = Question { addresses: vec!["10.0.0.1".parse().unwrap()] };
    for (interval, patience) in [(200, "500ms"), (700, "700ms"), (60_000, "1s")] {
        let interval = Duration::from_millis(interval);
        let (said, failing) = agents.ask(vec![silent, answers], &question, interval).await;
        assert_eq!(said, [(answers, report().backends)]);
        let told =
            format!("1 of 2 agents do not answer: {silent} gives no answer within {patience}");
        assert_eq!(failing, Some(told));
    }
    mute.abort();
    assert_eq!(agents.ask(vec![answers], &question, Duration::ZERO).await.1, None);
}
