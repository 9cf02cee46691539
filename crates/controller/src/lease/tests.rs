use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// What an API server would do with a step: it grants one that is about the version that it has.
#[derive(Default)]
struct Server {
    lease: Option<Lease>,
    version: u32,
}

impl Server {
    fn take(&mut self, step: Step) -> Option<Lease> {
        let mut lease = match step {
            Step::Create(lease) if self.lease.is_none() => *lease,
            Step::Replace(lease) if self.lease.as_ref().and_then(version) == version(&lease) => {
                *lease
            }
            _ => return None,
        };
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        Some(lease)
    }

    fn spec(&self) -> LeaseSpec {
        self.lease.clone().expect("a Lease").spec.expect("a spec")
    }
}

fn candidate(identity: &str) -> Candidate {
    Candidate::new("etm-system", "etm-controller", identity.to_owned())
}

/// One look and one request, as the election makes them; whether the candidate holds the Lease.
fn advance(candidate: &mut Candidate, server: &mut Server, now: Instant) -> bool {
    if !candidate.is_holder() {
        candidate.see(server.lease.clone(), now);
    }
    match candidate.step(now, Timestamp::UNIX_EPOCH) {
        Step::Wait => {}
        step => match server.take(step) {
            Some(lease) => candidate.granted(lease, now),
            None => {
                candidate.doubt();
                candidate.see(server.lease.clone(), now);
            }
        },
    }
    candidate.until().is_some_and(|until| now < until)
}

#[test]
fn the_first_one_makes_it_and_renews_it() {
    let (mut server, mut first, mut second) = (Server::default(), candidate("a"), candidate("b"));
    let start = Instant::now();
    for seconds in 0..60 {
        let now = start + seconds * SECOND;
        assert!(advance(&mut first, &mut server, now), "{seconds}");
        assert!(!advance(&mut second, &mut server, now), "{seconds}");
    }
    assert_eq!(server.spec().holder_identity.as_deref(), Some("a"));
    assert_eq!(server.spec().lease_transitions, Some(0));
    assert_eq!(server.spec().lease_duration_seconds, Some(15));
    assert_eq!(second.holder(), Some("a"));
}

#[test]
fn it_runs_out_after_its_holder_has_stopped() {
    let (mut server, mut first, mut second) = (Server::default(), candidate("a"), candidate("b"));
    let start = Instant::now();
    assert!(advance(&mut first, &mut server, start));
    assert!(!advance(&mut second, &mut server, start + SECOND));
    let until = first.until().expect("the first holds it");
    // Seen a second after it was renewed, so it is left alone for a second longer.
    assert!(!advance(&mut second, &mut server, start + SECOND + DURATION - SECOND / 2));
    let taken = start + SECOND + DURATION;
    assert!(until < taken, "the first counts no more before the second does");
    assert!(advance(&mut second, &mut server, taken));
    assert_eq!(server.spec().lease_transitions, Some(1));
    // One that was stopped for a while is refused, and learns who holds it.
    assert!(!advance(&mut first, &mut server, taken + SECOND));
    assert_eq!(first.holder(), Some("b"));
    assert_eq!(server.spec().holder_identity.as_deref(), Some("b"));
}

#[test]
fn a_clock_that_is_wrong_takes_nothing_from_anyone() {
    let (mut server, mut first, mut second) = (Server::default(), candidate("a"), candidate("b"));
    let start = Instant::now();
    assert!(advance(&mut first, &mut server, start));
    // What is written there is a time long ago.
    assert_eq!(server.spec().renew_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
    assert!(!advance(&mut second, &mut server, start));
    assert!(!advance(&mut second, &mut server, start + 14 * SECOND));
}

#[test]
fn of_two_that_see_it_run_out_one_has_it() {
    let (mut server, mut first) = (Server::default(), candidate("a"));
    let start = Instant::now();
    assert!(advance(&mut first, &mut server, start));
    let mut others = [candidate("b"), candidate("c")];
    for other in &mut others {
        other.see(server.lease.clone(), start);
    }
    let late = start + DURATION;
    let steps = others.each_ref().map(|other| other.step(late, Timestamp::UNIX_EPOCH));
    let granted = steps.map(|step| server.take(step).is_some());
    assert_eq!(granted, [true, false]);
}

#[test]
fn one_that_is_released_is_taken_at_once() {
    let (mut server, mut first, mut second) = (Server::default(), candidate("a"), candidate("b"));
    let start = Instant::now();
    assert!(advance(&mut first, &mut server, start));
    assert!(!advance(&mut second, &mut server, start));
    let released = first.release(Timestamp::UNIX_EPOCH).expect("it is the holder");
    assert_eq!(first.until(), None);
    assert!(server.take(Step::Replace(Box::new(released))).is_some());
    assert!(advance(&mut second, &mut server, start + SECOND));
    assert_eq!(first.release(Timestamp::UNIX_EPOCH), None);
}

#[test]
fn one_that_is_deleted_is_made_anew() {
    let (mut server, mut first) = (Server::default(), candidate("a"));
    let start = Instant::now();
    assert!(advance(&mut first, &mut server, start));
    server.lease = None;
    assert!(!advance(&mut first, &mut server, start + SECOND));
    assert!(advance(&mut first, &mut server, start + 2 * SECOND));
}
