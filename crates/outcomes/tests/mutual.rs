//! Who is answered, and who is believed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use etm_outcomes::{AskError, BackendOutcomes, Identity, Listener, NAME, Question, Report, ask};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority of its own, and a certificate of it for a name.
fn identity(name: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    renew(folder.path(), name);
    folder
}

fn renew(folder: &Path, name: &str) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("ca.crt"), issuer.pem()).unwrap();
    fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
}

fn report() -> Report {
    let address = "10.0.0.1".parse().unwrap();
    Report {
        backends: vec![BackendOutcomes {
            address,
            port: 80,
            protocol: "TCP".to_owned(),
            established: 7,
            rtt: 700,
            refused: 2,
            timed_out: 1,
            reset: 3,
        }],
    }
}

/// An agent that answers as long as the test runs; it gives where it listens.
async fn agent(folder: &Path) -> SocketAddr {
    let identity = Identity::new(folder);
    let mut listener = Listener::open("127.0.0.1:0".parse().unwrap(), identity).await.unwrap();
    let address = listener.address();
    tokio::spawn(async move {
        loop {
            let asked = listener.next().await;
            assert_eq!(asked.question.addresses.len(), 1);
            asked.answer(report());
        }
    });
    address
}

fn question() -> Question {
    Question { addresses: vec!["10.0.0.1".parse().unwrap()] }
}

#[tokio::test]
async fn who_has_the_certificate_is_answered() {
    let folder = identity(NAME);
    let agent = agent(folder.path()).await;
    let own = Identity::new(folder.path());
    assert_eq!(ask(agent, &own, &question(), PATIENCE).await.unwrap(), report());
    // Another one takes its place while both run.
    renew(folder.path(), NAME);
    assert_eq!(ask(agent, &own, &question(), PATIENCE).await.unwrap(), report());
}

#[tokio::test]
async fn who_has_another_is_not() {
    let folder = identity(NAME);
    let agent = agent(folder.path()).await;
    // It would be taken for an agent, but has a certificate of another authority.
    let other = identity(NAME);
    fs::copy(folder.path().join("ca.crt"), other.path().join("ca.crt")).unwrap();
    let stranger = Identity::new(other.path());
    let outcome = ask(agent, &stranger, &question(), PATIENCE).await;
    assert!(matches!(outcome, Err(AskError::Connect(..) | AskError::Answer(..))), "{outcome:?}");
}

#[tokio::test]
async fn an_agent_of_another_authority_or_name_is_not_believed() {
    let own = identity(NAME);
    for stranger in [identity(NAME), identity("somebody")] {
        let agent = agent(stranger.path()).await;
        let asks = Identity::new(own.path());
        let outcome = ask(agent, &asks, &question(), PATIENCE).await;
        assert!(matches!(outcome, Err(AskError::Connect(..))), "{outcome:?}");
    }
}

#[tokio::test]
async fn nobody_is_answered_without_tls() {
    let folder = identity(NAME);
    let agent = agent(folder.path()).await;
    let said = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(agent).unwrap();
        let request = b"POST /outcomes HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}";
        stream.write_all(request).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        said
    });
    let said = said.await.unwrap();
    assert!(!said.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = TempDir::new().unwrap();
    let error = Identity::new(folder.path()).check().unwrap_err().to_string();
    assert!(error.contains("ca.crt"), "{error}");
}
