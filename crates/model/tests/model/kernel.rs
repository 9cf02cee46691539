//! A kernel that takes steps, and programs in it that look on.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use etm_abi as abi;
use etm_decide::{Tables as _, balance, pick, route};
use etm_model::{
    Affinity, Algorithm, BackendKey, Balancing, CallerNumber, Delta, FrontendKey, GRACE, Kept,
    Ledger, Limits, Listener, Plan, PlannedFrontend, PlannedRoute, Pool, Protocol, Reconciled,
    RouteClass, RoutePart, RouteTable, Step, TableBalance, hashing, testing::Maps,
};

/// Room for all that tests make, shortlists of some weighted pools among it.
pub(crate) const AMPLE: Limits =
    Limits { frontends: 64, backends: 256, slots: 131_072, routes: 256 };

/// A program that read a frontend and may still walk its table.
#[derive(Clone)]
struct Program {
    since: Duration,
    frontend: abi::Frontend,
    sees: Sight,
}

/// The members of a table with their ids, and how they are chosen.
type Table = (Vec<(u32, abi::Backend)>, Option<TableBalance>);

/// What a program sees that read a frontend.
type Sight = (Option<RouteTable>, Vec<Table>);

/// By class, what its callers get: shares of weight, flags, members; and the classes of callers.
pub(crate) type Led = (Vec<Vec<(u32, u16, Vec<abi::Backend>)>>, BTreeMap<CallerNumber, u8>);

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
            let sees = self.sees(frontend);
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
                let same = self.sees(&program.frontend) == program.sees;
                assert!(same, "the table of {:?} changed with step {number}", program.frontend);
            }
        }
    }

    /// All that a program may see that read a frontend.
    fn sees(&self, frontend: &abi::Frontend) -> Sight {
        let tables = self.targets(frontend);
        let tables = tables.into_iter().map(|target| (self.walk(target), self.balance(target)));
        (self.maps.route(frontend), tables.collect())
    }

    /// What a frontend leads to.
    pub(crate) fn targets(&self, frontend: &abi::Frontend) -> Vec<abi::Target> {
        if frontend.flags & abi::FRONTEND_ROUTED == 0 {
            return vec![frontend.target()];
        }
        self.maps.route(frontend).unwrap().targets().collect()
    }

    fn walk(&self, target: abi::Target) -> Vec<(u32, abi::Backend)> {
        let slots = self.maps.table(target).unwrap();
        slots.iter().map(|id| (*id, self.maps.backends[*id as usize])).collect()
    }

    /// What callers of a frontend get, wherever in the maps it lies, whatever the incarnations.
    pub(crate) fn leads(&self, frontend: &abi::Frontend) -> Led {
        let share = |(weight, target): &(u32, abi::Target)| {
            (*weight, target.flags(), self.members_of(*target))
        };
        match self.maps.route(frontend) {
            None => (vec![vec![share(&(1, frontend.target()))]], BTreeMap::new()),
            Some(RouteTable { classes, callers }) => {
                (classes.iter().map(|shares| shares.iter().map(share).collect()).collect(), callers)
            }
        }
    }

    /// The same by its place: a frontend that is led elsewhere is another one.
    pub(crate) fn place(&self, frontend: &abi::Frontend) -> (Option<RouteTable>, Vec<Vec<u32>>) {
        let targets = self.targets(frontend).into_iter();
        let slots = targets.map(|target| self.maps.table(target).unwrap().to_vec());
        (self.maps.route(frontend), slots.collect())
    }

    fn members_of(&self, target: abi::Target) -> Vec<abi::Backend> {
        let records = self.walk(target).into_iter().map(|(_, record)| record);
        records.map(|record| abi::Backend { incarnation: 1, ..record }).collect()
    }

    /// A frontend leads to complete tables.
    fn check(&self, key: &FrontendKey, frontend: &abi::Frontend) {
        let service = frontend.service;
        assert!(self.maps.service_names.contains_key(&service), "{key:?} has no Service");
        for target in self.targets(frontend) {
            self.check_table(key, target);
        }
    }

    fn check_table(&self, key: &FrontendKey, target: abi::Target) {
        for (id, backend) in self.walk(target) {
            assert_eq!(backend.state, abi::BACKEND_AVAILABLE, "{key:?} leads to free {id}");
            let Listener::Port(_, protocol) = key.listener else { panic!("{key:?} has members") };
            assert_eq!(backend.protocol, number(protocol), "{key:?} leads to {id}");
        }
        for random in [0, 1 << 31, u32::MAX] {
            assert_eq!(pick(&self.maps, target, random).is_some(), target.members() > 0);
            if let Some(TableBalance { header, .. }) = self.balance(target) {
                let position = balance::random_position(random);
                assert!(balance::at(&self.maps, target, &header, position).is_some());
                let chosen = balance::least_connections;
                assert!(chosen(&self.maps, target, random).is_some());
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
        let port = matches!(key.listener, Listener::Port(..));
        let wanted = planned.sources.as_ref().filter(|_| port);
        let sources = wanted.into_iter().flat_map(|sources| sources.iter().copied()).collect();
        let flag = |set, flag| if set { flag } else { 0 };
        let own = flag(planned.node_only, abi::FRONTEND_NODE_ONLY)
            | flag(wanted.is_some(), abi::FRONTEND_SOURCES);
        let leads = match planned.route.as_deref().filter(|_| port) {
            None => {
                let part = RoutePart {
                    weight: 1,
                    pool: planned.pool.clone(),
                    balancing: planned.balancing.clone(),
                    anyway: planned.anyway,
                    elsewhere: planned.elsewhere,
                };
                self.is_part(frontend.target(), &part, own)
            }
            Some(route) => {
                frontend.flags == own | abi::FRONTEND_ROUTED && self.is_routed(frontend, route)
            }
        };
        leads
            && self.maps.sources.get(key).cloned().unwrap_or_default() == sources
            && frontend.errno == planned.errno
            && self.maps.service_names.get(&frontend.service) == Some(&planned.service.to_string())
    }

    /// A frontend's callers get what the Plan says, as programs find it.
    fn is_routed(&self, frontend: &abi::Frontend, planned: &PlannedRoute) -> bool {
        (0..200_u16).all(|number| {
            let class = route::class(&self.maps, frontend.target(), number.into()).unwrap();
            let wanted = planned.callers.get(&number).map_or(0, |class| usize::from(*class));
            match &planned.classes[wanted] {
                RouteClass::Denied => {
                    class == abi::Class::DENIED && route::part(&self.maps, class, 0).is_none()
                }
                RouteClass::Forward(parts) => self.is_divided(class, parts),
            }
        })
    }

    /// Each part has its share, to one in 2^32.
    fn is_divided(&self, class: abi::Class, parts: &[RoutePart]) -> bool {
        let total: u128 = parts.iter().map(|part| u128::from(part.weight)).sum();
        let mut sum = 0;
        parts.iter().all(|part| {
            let first = (sum << 32) / total;
            sum += u128::from(part.weight);
            let last = (sum << 32) / total - 1;
            [first, last].into_iter().all(|random| {
                let random = u32::try_from(random).unwrap();
                let found = class.whole().or_else(|| route::part(&self.maps, class, random));
                let alike =
                    class.parts().1 != 2 || route::one_of_two(&self.maps, class, random) == found;
                alike && found.is_some_and(|target| self.is_part(target, part, 0))
            })
        })
    }

    /// A table is what the Plan says.
    fn is_part(&self, target: abi::Target, planned: &RoutePart, own: u16) -> bool {
        let pool: Vec<_> = planned.pool.iter().map(|member| record(&member.backend)).collect();
        let balancing = planned.balancing.as_ref().filter(|_| !pool.is_empty());
        let flag = |set, flag| if set { flag } else { 0 };
        let flags = own
            | flag(balancing.is_some(), abi::FRONTEND_BALANCED)
            | flag(planned.anyway, abi::FRONTEND_ANYWAY)
            | flag(planned.elsewhere, abi::FRONTEND_ELSEWHERE);
        self.members_of(target) == pool
            && target.flags() == flags
            && balancing.is_none_or(|balancing| self.is_balanced(target, &planned.pool, balancing))
    }

    /// A table's members are chosen as the Plan says.
    fn is_balanced(&self, target: abi::Target, pool: &Pool, balancing: &Balancing) -> bool {
        let Some(read) = self.balance(target) else { return false };
        let candidates = hashing::candidates(pool);
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

    /// What a table has besides the ids, where it is said that there is something.
    fn balance(&self, target: abi::Target) -> Option<TableBalance> {
        let balanced = target.flags() & abi::FRONTEND_BALANCED != 0;
        balanced.then(|| TableBalance::read(target, |at| self.maps.word(at)).unwrap())
    }

    /// The maps hold a Plan, and nothing else.
    pub(crate) fn holds(&self, plan: &Plan) {
        for (key, planned) in &plan.frontends {
            assert!(self.is_as_planned(key, planned), "{key:?} is not as planned");
            let frontend = &self.maps.frontends[key];
            if frontend.flags & abi::FRONTEND_ROUTED != 0 {
                continue;
            }
            for ((id, _), member) in self.walk(frontend.target()).iter().zip(planned.pool.iter()) {
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
