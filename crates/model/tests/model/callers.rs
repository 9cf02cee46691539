//! The map of callers is the join of cgroups and Pods, whatever comes first.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use etm_model::{
    CALLER_NODE_NUMBER, Caller, CallerNumber, CallerWrite, Callers, Change, Node, ObjectName, Pod,
    QosClass,
};
use proptest::{collection::vec, prelude::*};

#[derive(Clone, Debug)]
enum Event {
    Made(u64, u8),
    Gone(u64),
    Set(u8, Vec<IpAddr>),
    Remove(u8),
    Node(Vec<IpAddr>),
    Write,
    Restart,
}

fn addresses() -> impl Strategy<Value = Vec<IpAddr>> {
    vec(
        prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from)
        ],
        0..3,
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..6_u64, 0..4_u8).prop_map(|(cgroup, uid)| Event::Made(cgroup, uid)),
        2 => (1..6_u64).prop_map(Event::Gone),
        4 => (0..4_u8, addresses()).prop_map(|(uid, ips)| Event::Set(uid, ips)),
        2 => (0..4_u8).prop_map(Event::Remove),
        1 => addresses().prop_map(Event::Node),
        3 => Just(Event::Write),
        1 => Just(Event::Restart),
    ]
}

fn uid(number: u8) -> Arc<str> {
    format!("uid-{number}").into()
}

fn pod(number: u8, addresses: Vec<IpAddr>) -> Pod {
    Pod {
        name: ObjectName::new("shop", format!("cart-{number}")),
        uid: uid(number),
        labels: Vec::new(),
        service_account: "default".into(),
        addresses,
        qos: QosClass::Burstable,
        host_network: false,
    }
}

fn caller(name: &str, uid: Arc<str>, addresses: &[IpAddr]) -> Caller {
    Caller {
        name: name.into(),
        uid,
        ipv4: addresses
            .iter()
            .find_map(|ip| if let IpAddr::V4(ip) = ip { Some(*ip) } else { None }),
        ipv6: addresses
            .iter()
            .find_map(|ip| if let IpAddr::V6(ip) = ip { Some(*ip) } else { None }),
        number: 0,
    }
}

/// The first Pod that is told of gets the number after that of the node.
fn numbered(number: CallerNumber, caller: Caller) -> Caller {
    Caller { number, ..caller }
}

const FIRST: CallerNumber = CALLER_NODE_NUMBER + 1;

fn write(map: &mut BTreeMap<u64, Caller>, writes: Vec<CallerWrite>) {
    for (cgroup, caller) in writes {
        let before = map.get(&cgroup).cloned();
        assert_ne!(before, caller, "a write that changes nothing");
        match caller {
            Some(caller) => map.insert(cgroup, caller),
            None => map.remove(&cgroup),
        };
    }
}

proptest! {
    #[test]
    fn the_map_is_the_join(events in vec(event(), 0..60)) {
        let mut callers = Callers::default();
        let mut map = BTreeMap::new();
        let (mut cgroups, mut pods) = (BTreeMap::new(), BTreeMap::new());
        let mut node = Vec::new();
        // By the Pod's name, what routes were told.
        let mut routed = BTreeMap::new();
        for event in events {
            let mut numbers = |callers: &mut Callers| {
                for change in callers.take_changes() {
                    match change {
                        Change::SetCaller(number, Some(pod)) => {
                            let name = pod.name.expect("a Pod").name;
                            let pod: u8 = name["cart-".len()..].parse().expect("a number");
                            routed.retain(|_, other| *other != number);
                            routed.insert(pod, number);
                        }
                        Change::SetCaller(number, None) => routed.retain(|_, other| *other != number),
                        other => panic!("{other:?}"),
                    }
                }
            };
            match event {
                Event::Made(cgroup, number) => {
                    callers.cgroup_made(cgroup, uid(number));
                    cgroups.insert(cgroup, number);
                }
                Event::Gone(cgroup) => {
                    callers.cgroup_gone(cgroup);
                    cgroups.remove(&cgroup);
                }
                Event::Set(number, addresses) => {
                    callers.set_pod(&pod(number, addresses.clone()));
                    pods.insert(number, addresses);
                }
                Event::Remove(number) => {
                    callers.remove_pod(&uid(number));
                    pods.remove(&number);
                }
                Event::Node(addresses) => {
                    let told = Node { name: "n".into(), addresses: addresses.clone(), ..Node::default() };
                    callers.set_node(&told);
                    node = addresses;
                }
                Event::Write => write(&mut map, callers.writes()),
                Event::Restart => {
                    callers = Callers::adopt(map.clone());
                    for (cgroup, number) in &cgroups {
                        callers.cgroup_made(*cgroup, uid(*number));
                    }
                    for (number, addresses) in &pods {
                        callers.set_pod(&pod(*number, addresses.clone()));
                    }
                    callers.set_node(&Node { name: "n".into(), addresses: node.clone(), ..Node::default() });
                    write(&mut map, callers.settle());
                }
            }
            numbers(&mut callers);
            let held: Vec<_> = routed.values().collect();
            let mut once = held.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(held.len(), once.len(), "two Pods have one number");
        }
        write(&mut map, callers.settle());
        let found = map.remove(&0).map(|caller| (caller.ipv4, caller.ipv6));
        let told = caller("n", Arc::default(), &node);
        prop_assert_eq!(found.unwrap_or_default(), (told.ipv4, told.ipv6));
        prop_assert_eq!(map.keys().collect::<Vec<_>>(), cgroups.keys().collect::<Vec<_>>());
        for (cgroup, number) in &cgroups {
            prop_assert_eq!(&map[cgroup].uid, &uid(*number));
            if let Some(addresses) = pods.get(number) {
                let name = format!("shop/cart-{number}");
                let found = &map[cgroup];
                let told = caller(&name, uid(*number), addresses);
                prop_assert_eq!(found, &numbered(found.number, told));
                prop_assert_eq!(Some(&found.number), routed.get(number));
            }
        }
        prop_assert_eq!(callers.writes(), []);
    }
}

#[test]
fn a_pod_that_the_cluster_does_not_tell_of_yet_is_known_by_its_cgroup() {
    let mut callers = Callers::default();
    callers.cgroup_made(7, uid(1));
    assert_eq!(callers.writes(), [(7, Some(caller("", uid(1), &[])))]);
    assert_eq!(callers.count(), (1, 1));
    let addresses: [IpAddr; 1] = [[10, 1, 0, 1].into()];
    callers.set_pod(&pod(1, addresses.to_vec()));
    let known = numbered(FIRST, caller("shop/cart-1", uid(1), &addresses));
    assert_eq!(callers.writes(), [(7, Some(known))]);
    assert_eq!(callers.count(), (1, 0));
}

#[test]
fn a_pod_keeps_its_name_until_its_cgroup_is_gone() {
    let mut callers = Callers::default();
    callers.cgroup_made(7, uid(1));
    callers.set_pod(&pod(1, Vec::new()));
    let known = caller("shop/cart-1", uid(1), &[]);
    assert_eq!(callers.writes(), [(7, Some(numbered(FIRST, known.clone())))]);
    callers.remove_pod(&uid(1));
    // Its number may be another Pod's by and by.
    assert_eq!(callers.writes(), [(7, Some(known.clone()))]);
    // Also where the agent starts anew, and the API server does not answer yet.
    let mut callers = Callers::adopt(BTreeMap::from([(7, known)]));
    callers.cgroup_made(7, uid(1));
    assert_eq!(callers.writes(), []);
    callers.cgroup_gone(7);
    assert_eq!(callers.writes(), [(7, None)]);
}

#[test]
fn what_makes_room_is_written_first() {
    let mut callers = Callers::adopt(BTreeMap::from([(9, caller("", uid(2), &[]))]));
    callers.cgroup_made(7, uid(1));
    callers.cgroup_gone(9);
    assert_eq!(callers.writes(), [(9, None), (7, Some(caller("", uid(1), &[])))]);
}

#[test]
fn what_the_map_lacks_after_a_failed_write_is_written_again() {
    let mut callers = Callers::default();
    callers.cgroup_made(7, uid(1));
    callers.cgroup_made(8, uid(2));
    let writes = callers.writes();
    assert_eq!(writes.len(), 2);
    // Only the second one succeeded.
    callers.correct(BTreeMap::from([(0, Caller::default()), (8, caller("", uid(2), &[]))]));
    assert_eq!(callers.settle(), [(7, Some(caller("", uid(1), &[])))]);
    assert_eq!(callers.settle(), []);
}

#[test]
fn a_pod_keeps_its_number_when_the_agent_starts_anew() {
    let mut callers = Callers::default();
    for number in 1..=3 {
        callers.cgroup_made(number.into(), uid(number));
        callers.set_pod(&pod(number, Vec::new()));
    }
    let map: BTreeMap<_, _> =
        callers.writes().into_iter().filter_map(|(id, caller)| Some((id, caller?))).collect();
    callers.remove_pod(&uid(2));
    let mut callers = Callers::adopt(map.clone());
    for number in [3, 1, 2] {
        callers.cgroup_made(number.into(), uid(number));
        callers.set_pod(&pod(number, Vec::new()));
    }
    assert_eq!(callers.writes(), []);
    assert_eq!(callers.take_changes().len(), 3);
}

#[test]
fn a_number_rests_before_another_pod_has_it() {
    let mut callers = Callers::default();
    let mut numbers = Vec::new();
    for round in 0..200 {
        callers.set_pod(&pod(round, Vec::new()));
        for change in callers.take_changes() {
            if let Change::SetCaller(number, Some(_)) = change {
                numbers.push(number);
            }
        }
        callers.remove_pod(&uid(round));
        assert!(matches!(callers.take_changes()[..], [Change::SetCaller(_, None)]));
    }
    let last = numbers.iter().max().copied();
    assert!(last < Some(40), "routes grow to {last:?} callers for one Pod");
    let rests = numbers.windows(20).all(|some| some[..19].iter().all(|number| *number != some[19]));
    assert!(rests, "{numbers:?}");
}
