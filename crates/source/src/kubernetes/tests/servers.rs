use std::{fs, net::SocketAddr, sync::Arc};

use crate::kubernetes::servers::{Servers, with_port};

const CONFIGURED: &str = "10.96.0.1:443";

fn slice(name: &str, addresses: &[&str]) -> (Arc<str>, Vec<SocketAddr>) {
    (name.into(), addresses.iter().map(|text| text.parse().unwrap()).collect())
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all
}

#[test]
fn without_knowledge_there_is_the_configured_one() {
    let state = tempfile::tempdir().unwrap();
    let servers = Servers::new(Vec::new(), true, Some(state.path()));
    assert_eq!(servers.candidates(CONFIGURED.into()), [CONFIGURED]);
}

#[test]
fn a_pod_asks_for_the_service_last() {
    let state = tempfile::tempdir().unwrap();
    let servers = Servers::new(vec!["given:6443".into()], true, Some(state.path()));
    servers.learn(vec![slice("kubernetes", &["10.0.0.1:6443"])]).unwrap();
    assert_eq!(servers.candidates(CONFIGURED.into()), ["given:6443", "10.0.0.1:6443", CONFIGURED]);
}

#[test]
fn a_kubeconfig_goes_before_what_was_seen() {
    let state = tempfile::tempdir().unwrap();
    let servers = Servers::new(Vec::new(), false, Some(state.path()));
    servers.learn(vec![slice("kubernetes", &["10.0.0.1:6443", "10.0.0.2:6443"])]).unwrap();
    let candidates = servers.candidates("api.example:443".into());
    assert_eq!(candidates[0], "api.example:443");
    assert_eq!(sorted(candidates[1..].to_vec()), ["10.0.0.1:6443", "10.0.0.2:6443"]);
}

#[test]
fn connections_spread_and_none_is_tried_twice() {
    let given = vec!["10.0.0.1:6443".to_owned(), "10.0.0.2:6443".to_owned()];
    let servers = Servers::new(given.clone(), true, None);
    let (one, two) = (servers.candidates(given[0].clone()), servers.candidates(given[0].clone()));
    assert_ne!(one[0], two[0]);
    assert_eq!(sorted(one), given);
    assert_eq!(sorted(two), given);
}

#[test]
fn what_was_seen_outlives_a_restart() {
    let state = tempfile::tempdir().unwrap();
    // Made where there is none.
    let directory = state.path().join("etm");
    let servers = Servers::new(Vec::new(), true, Some(&directory));
    servers.learn(vec![slice("a", &["10.0.0.1:6443"]), slice("b", &["[fd00::1]:6443"])]).unwrap();
    let again = Servers::new(Vec::new(), true, Some(&directory));
    let candidates = sorted(again.candidates(CONFIGURED.into()));
    assert_eq!(candidates, ["10.0.0.1:6443", CONFIGURED, "[fd00::1]:6443"]);
    again.learn(vec![slice("a", &[])]).unwrap();
    let again = Servers::new(Vec::new(), true, Some(&directory));
    assert_eq!(sorted(again.candidates(CONFIGURED.into())), [CONFIGURED, "[fd00::1]:6443"]);
}

#[test]
fn the_last_one_is_never_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let servers = Servers::new(Vec::new(), true, Some(state.path()));
    servers.learn(vec![slice("a", &["10.0.0.1:6443"])]).unwrap();
    servers.learn(vec![slice("a", &[])]).unwrap();
    assert_eq!(servers.candidates(CONFIGURED.into()), ["10.0.0.1:6443", CONFIGURED]);
}

#[test]
fn a_broken_file_is_as_good_as_none() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("api-servers.json"), "{\"slices\": {\"a\": [").unwrap();
    let servers = Servers::new(Vec::new(), true, Some(state.path()));
    assert_eq!(servers.candidates(CONFIGURED.into()), [CONFIGURED]);
}

#[test]
fn a_file_that_cannot_be_written_is_told() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("file");
    fs::write(&file, "").unwrap();
    let servers = Servers::new(Vec::new(), true, Some(&file));
    let problem = servers.learn(vec![slice("a", &["10.0.0.1:6443"])]).unwrap_err();
    assert!(problem.reason.starts_with("cannot be written: "), "{problem}");
    // It is known all the same.
    assert_eq!(servers.candidates(CONFIGURED.into()), ["10.0.0.1:6443", CONFIGURED]);
}

#[test]
fn servers_that_nothing_proves_are_not_learned() {
    let servers = Servers::new(Vec::new(), true, None);
    servers.learn(vec![slice("a", &["10.0.0.1:6443"])]).unwrap();
    assert_eq!(servers.candidates(CONFIGURED.into()), [CONFIGURED]);
}

#[test]
fn ports_may_be_left_out() {
    for (text, expected) in [
        ("10.0.0.1", "10.0.0.1:6443"),
        ("10.0.0.1:443", "10.0.0.1:443"),
        ("fd00::1", "[fd00::1]:6443"),
        ("[fd00::1]", "[fd00::1]:6443"),
        ("[fd00::1]:443", "[fd00::1]:443"),
        ("api.example", "api.example:6443"),
        ("api.example:443", "api.example:443"),
    ] {
        assert_eq!(with_port(text), expected);
    }
}
