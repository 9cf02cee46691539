//! A kernel that takes steps, and programs in it that look on.

use std::{net::IpAddr, time::Duration};

use etm_abi as abi;
use etm_decide::{Tables as _, balance, pick};
use etm_model::{
    Affinity, Algorithm, BackendKey, Balancing, Delta, FrontendKey, GRACE, Kept, Ledger, Limits,
    Listener, Plan, PlannedFrontend, Protocol, Reconciled, Step, TableBalance, hashing,
    testing::Maps,
};

/// Room for all that tests make, shortlists of some weighted pools among it.
pub(crate) const AMPLE: Limits = Limits { frontends: 64, backends: 256, slots: 131_072 };

/// A program that read a frontend and may still walk its table.
#[derive(Clone)]
struct Program {
    since: Duration,
    frontend: abi::Frontend,
    sees: Table,
}

/// The members of a table with their ids, and how they are chosen.
type Table = (Vec<(u32, abi::Backend)>, Option<TableBalance>);

#[derive(Clone)]
pub(crate) struct Kernel {
    pub(crate) maps: Maps,
    pub(crate) ledger: Ledger,
    pub(crate) now: Duration,
    first_generation: u32,
    programs: Vec<Program>,
}

impl Kernel {
    pub(crate) fn new(limits: Limits) -> Self {
        let maps = Maps::new(limits);
        let ledger = Ledger::adopt(maps.contents(), limits, 1);
        Self {
            maps,
            ledger,
            now: Duration::from_secs(100),
            first_generation: 1,
            programs: Vec::new(),
        }
    }

    /// The agent starts anew.
    pub(crate) fn restart(&mut self) {
        self.first_generation += 1_000_000;
        let limits = self.ledger.limits();
        self.ledger = Ledger::adopt(self.maps.contents(), limits, self.first_generation);
        // What was retired is not known any more; the start takes longer than a program runs.
        self.programs.clear();
    }

    pub(crate) fn reconcile(&mut self, plan: &Plan) -> Reconciled {
        let reconciled = self.ledger.reconcile(plan, self.now);
        self.write(&reconciled.steps);
        reconciled
    }

    pub(crate) fn reconcile_others(&mut self, plan: &Plan, kept: &Kept) -> Reconciled {
        let reconciled = self.ledger.reconcile_others(plan, kept, self.now);
        self.write(&reconciled.steps);
        reconciled
    }

    pub(crate) fn apply(&mut self, delta: &Delta) -> Reconciled {
        let reconciled = self.ledger.apply(delta, self.now);
        self.write(&reconciled.steps);
        reconciled
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
        let steps = self.ledger.expire(self.now);
        self.write(&steps);
    }

    /// Waits until nothing is left to expire.
    pub(crate) fn settle(&mut self) {
        while let Some(next) = self.ledger.next_expiry() {
            assert!(next > self.now.saturating_sub(GRACE));
            self.wait(next.saturating_sub(self.now));
        }
    }

    /// Writes steps one by one while programs look on.
    fn write(&mut self, steps: &[Step]) {
        self.programs.retain(|program| program.since + GRACE > self.now);
        for frontend in self.maps.frontends.values() {
            let sees = self.table(frontend);
            self.programs.push(Program { since: self.now, frontend: *frontend, sees });
        }
        let (before, mut after) = (self.maps.clone(), self.maps.clone());
        for step in steps {
            after.apply(step).unwrap();
        }
        for (number, step) in steps.iter().enumerate() {
            self.maps.apply(step).unwrap();
            for (key, frontend) in &self.maps.frontends {
                self.check(key, frontend);
                self.admits(key, frontend, [&before, &after]);
            }
            for program in &self.programs {
                // Not what they are: a shortlist has thousands of words.
                let same = self.table(&program.frontend) == program.sees;
                assert!(same, "the table of {:?} changed with step {number}", program.frontend);
            }
        }
    }

    fn table(&self, frontend: &abi::Frontend) -> Table {
        (self.walk(frontend), self.balance(frontend))
    }

    fn walk(&self, frontend: &abi::Frontend) -> Vec<(u32, abi::Backend)> {
        let slots = self.maps.table(frontend).unwrap();
        slots.iter().map(|id| (*id, self.maps.backends[*id as usize])).collect()
    }

    /// What a frontend leads to, whatever the incarnations.
    pub(crate) fn members(&self, frontend: &abi::Frontend) -> Vec<abi::Backend> {
        let records = self.walk(frontend).into_iter().map(|(_, record)| record);
        records.map(|record| abi::Backend { incarnation: 1, ..record }).collect()
    }

    /// A frontend leads to a complete table.
    fn check(&self, key: &FrontendKey, frontend: &abi::Frontend) {
        let service = frontend.service;
        assert!(self.maps.service_names.contains_key(&service), "{key:?} has no Service");
        for (id, backend) in self.walk(frontend) {
            assert_eq!(backend.state, abi::BACKEND_AVAILABLE, "{key:?} leads to free {id}");
            let Listener::Port(_, protocol) = key.listener else { panic!("{key:?} has members") };
            assert_eq!(backend.protocol, number(protocol), "{key:?} leads to {id}");
        }
        for random in [0, 1 << 31, u32::MAX] {
            assert_eq!(pick(&self.maps, frontend.target(), random).is_some(), frontend.members > 0);
            if let Some(TableBalance { header, .. }) = self.balance(frontend) {
                let position = balance::random_position(random);
                assert!(balance::at(&self.maps, frontend.target(), &header, position).is_some());
                let chosen = balance::least_connections;
                assert!(chosen(&self.maps, frontend.target(), random).is_some());
            }
        }
    }

    /// A frontend that was and will be for some callers is for those who were and will be among
    /// them all the time, and never for everyone.
    fn admits(&self, key: &FrontendKey, frontend: &abi::Frontend, ends: [&Maps; 2]) {
        let limited = |frontend: &abi::Frontend| frontend.flags & abi::FRONTEND_SOURCES != 0;
        let [before, after] = ends.map(|maps| {
            maps.frontends
                .get(key)
                .filter(|found| limited(found))
                .map(|_| maps.sources.get(key).cloned().unwrap_or_default())
        });
        if let (Some(before), Some(after)) = (before, after) {
            assert!(limited(frontend), "{key:?} is for everyone");
            let now = self.maps.sources.get(key).cloned().unwrap_or_default();
            assert!(before.intersection(&after).all(|source| now.contains(source)));
        }
    }

    /// A frontend is what the Plan says.
    pub(crate) fn is_as_planned(&self, key: &FrontendKey, planned: &PlannedFrontend) -> bool {
        let Some(frontend) = self.maps.frontends.get(key) else { return false };
        let members = self.members(frontend);
        let pool: Vec<_> = planned.pool.iter().map(|member| record(&member.backend)).collect();
        let port = matches!(key.listener, Listener::Port(..));
        let wanted = planned.sources.as_ref().filter(|_| port);
        let sources = wanted.into_iter().flat_map(|sources| sources.iter().copied()).collect();
        let mut flags = if planned.node_only { abi::FRONTEND_NODE_ONLY } else { 0 };
        flags |= if wanted.is_some() { abi::FRONTEND_SOURCES } else { 0 };
        let balancing = planned.balancing.as_ref().filter(|_| !pool.is_empty());
        flags |= if balancing.is_some() { abi::FRONTEND_BALANCED } else { 0 };
        flags |= if planned.anyway { abi::FRONTEND_ANYWAY } else { 0 };
        flags |= if planned.elsewhere { abi::FRONTEND_ELSEWHERE } else { 0 };
        self.maps.sources.get(key).cloned().unwrap_or_default() == sources
            && members == pool
            && frontend.errno == planned.errno
            && frontend.flags == flags
            && balancing.is_none_or(|balancing| self.is_balanced(frontend, planned, balancing))
            && self.maps.service_names.get(&frontend.service) == Some(&planned.service.to_string())
    }

    /// A table's members are chosen as the Plan says.
    fn is_balanced(
        &self,
        frontend: &abi::Frontend,
        planned: &PlannedFrontend,
        balancing: &Balancing,
    ) -> bool {
        let Some(read) = self.balance(frontend) else { return false };
        let candidates = hashing::candidates(&planned.pool);
        let by_load = balancing.algorithm == Algorithm::LeastConnections;
        let shortlist = hashing::shortlist(&candidates).filter(|_| !by_load);
        let (bits, words) = shortlist.map_or((0, [].into()), |one| (one.bits, one.words));
        let fields = match balancing.algorithm {
            Algorithm::ConsistentHash(fields) => fields.bits(),
            Algorithm::Random | Algorithm::LeastConnections => 0,
        };
        let seconds = balancing.affinity.map_or(0, Affinity::seconds);
        *read.candidates == *candidates
            && (read.header.shortlist_bits, read.shortlist) == (bits, words)
            && read.header.group_bits == hashing::group_bits(candidates.len(), bits)
            && (read.header.fields, read.header.affinity) == (fields, seconds)
            && read.header.salt == balancing.salt
            && (read.header.algorithm == abi::ALGORITHM_LEAST_CONNECTIONS) == by_load
            && (read.header.weighted != 0) == hashing::weighted(&candidates)
    }

    /// What a table has besides the ids, where its frontend says that there is something.
    fn balance(&self, frontend: &abi::Frontend) -> Option<TableBalance> {
        let balanced = frontend.flags & abi::FRONTEND_BALANCED != 0;
        balanced.then(|| TableBalance::read(frontend, |at| self.maps.word(at)).unwrap())
    }

    /// The maps hold a Plan, and nothing else.
    pub(crate) fn holds(&self, plan: &Plan) {
        for (key, planned) in &plan.frontends {
            assert!(self.is_as_planned(key, planned), "{key:?} is not as planned");
            let frontend = &self.maps.frontends[key];
            for ((id, _), member) in self.walk(frontend).iter().zip(planned.pool.iter()) {
                if let Some(pod) = &member.pod {
                    assert_eq!(self.maps.backend_names.get(id), Some(&pod.to_string()));
                }
            }
        }
        for key in self.maps.frontends.keys() {
            assert!(plan.frontends.contains_key(key) || plan.held.contains(key), "{key:?} stayed");
        }
        for key in self.maps.sources.keys() {
            assert!(self.maps.frontends.contains_key(key), "ranges of {key:?} stayed");
        }
    }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => panic!("SCTP has no place in the maps"),
    }
}

fn record(key: &BackendKey) -> abi::Backend {
    let octets = match key.ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let word = |at: usize| u32::from_ne_bytes(octets[at..at + 4].try_into().unwrap());
    abi::Backend {
        address: [word(0), word(4), word(8), word(12)],
        port: u16::from_ne_bytes(key.port.to_be_bytes()),
        protocol: number(key.protocol),
        state: abi::BACKEND_AVAILABLE,
        incarnation: 1,
        ..abi::Backend::default()
    }
}
