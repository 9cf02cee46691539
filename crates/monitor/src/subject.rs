use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use k8s_openapi::{api::discovery::v1::EndpointSlice, jiff::Timestamp};

/// Labels of a series or of an alert.
pub type Labels = BTreeMap<String, String>;

/// Who can be taken out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A Pod of the Service, by name and UID.
    Pod(Arc<str>, Arc<str>),
    /// An endpoint of the Service that is no Pod.
    Address(IpAddr),
    /// A node.
    Node(Arc<str>),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name, _) => write!(f, "Pod {name}"),
            Self::Address(address) => write!(f, "endpoint {address}"),
            Self::Node(name) => write!(f, "Node {name}"),
        }
    }
}

/// One that is out, by the word of one monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Who.
    pub subject: Subject,
    /// Name of the monitor.
    pub monitor: Arc<str>,
    /// What it said.
    pub message: Arc<str>,
    /// Since when.
    pub since: Timestamp,
}

/// All who a monitor may speak of, and how labels name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Of Pods; nodes have none.
    namespace: Option<Arc<str>>,
    names: BTreeMap<Arc<str>, Subject>,
    addresses: BTreeMap<IpAddr, Subject>,
}

/// Whom labels name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// One that the monitor may speak of.
    Subject(Subject),
    /// Somebody else.
    Other,
    /// Nobody.
    Nobody,
}

impl Subjects {
    /// The endpoints of a Service.
    #[must_use]
    pub fn endpoints(namespace: &str, slices: &[EndpointSlice]) -> Self {
        let mut subjects = Self { namespace: Some(namespace.into()), ..Self::default() };
        for endpoint in slices.iter().flat_map(|slice| slice.endpoints.iter().flatten()) {
            let Some(address) = endpoint.addresses.first().and_then(|text| text.parse().ok())
            else {
                continue;
            };
            let pod = endpoint.target_ref.as_ref();
            let pod = pod.filter(|target| target.kind.as_deref() == Some("Pod"));
            let name = pod.and_then(|pod| pod.name.as_deref());
            let subject = match name {
                Some(name) => {
                    let uid = pod.and_then(|pod| pod.uid.as_deref()).unwrap_or_default();
                    Subject::Pod(name.into(), uid.into())
                }
                None => Subject::Address(address),
            };
            if let Some(name) = name {
                subjects.names.insert(name.into(), subject.clone());
            }
            subjects.addresses.insert(address, subject);
        }
        subjects
    }

    /// The nodes of a cluster, each with its addresses.
    pub fn nodes<'a>(nodes: impl IntoIterator<Item = (&'a Arc<str>, &'a [IpAddr])>) -> Self {
        let mut subjects = Self::default();
        for (name, addresses) in nodes {
            let subject = Subject::Node(Arc::clone(name));
            subjects.addresses.extend(addresses.iter().map(|ip| (*ip, subject.clone())));
            subjects.names.insert(Arc::clone(name), subject);
        }
        subjects
    }

    /// Whether one is still there.
    #[must_use]
    pub fn contains(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Pod(name, _) | Subject::Node(name) => self.names.get(name) == Some(subject),
            Subject::Address(address) => self.addresses.get(address) == Some(subject),
        }
    }

    /// The one of this name and UID, whatever the UID where none is known.
    #[must_use]
    pub fn known(&self, subject: &Subject) -> Option<Subject> {
        match subject {
            Subject::Pod(name, uid) if uid.is_empty() => self.names.get(name).cloned(),
            subject => self.contains(subject).then(|| subject.clone()),
        }
    }

    /// Whom labels name: the more certain label goes first.
    #[must_use]
    pub fn named(&self, labels: &Labels) -> Named {
        let label = |name: &str| labels.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let (name, places) = match &self.namespace {
            Some(namespace) => {
                if label("namespace").is_some_and(|other| *other != **namespace) {
                    return Named::Other;
                }
                (label("pod"), &["pod_ip", "ip", "instance"][..])
            }
            None => (label("node"), &["instance"][..]),
        };
        if let Some(name) = name {
            return found(self.names.get(name));
        }
        for place in places.iter().filter_map(|place| label(place)) {
            if let Some(address) = address(place) {
                return found(self.addresses.get(&address));
            }
            // Of nodes, `instance` is often made their name.
            if self.namespace.is_none() {
                let name = place.rsplit_once(':').map_or(place, |(name, _)| name);
                return found(self.names.get(name));
            }
        }
        Named::Nobody
    }
}

fn found(subject: Option<&Subject>) -> Named {
    subject.map_or(Named::Other, |subject| Named::Subject(subject.clone()))
}

/// The address in `10.0.0.1`, `10.0.0.1:8080`, `[::1]:8080` or `::1`.
fn address(text: &str) -> Option<IpAddr> {
    let socket = text.parse::<SocketAddr>().map(|socket| socket.ip());
    let bare = || text.trim_start_matches('[').trim_end_matches(']').parse();
    socket.or_else(|_| bare()).ok().map(|ip| ip.to_canonical())
}

impl Subjects {
    /// The label by which they are named best.
    pub(crate) fn label(&self) -> &'static str {
        if self.namespace.is_some() { "pod" } else { "node" }
    }
}
