//! The choice of a member where it is not evenly at random.

use etm_abi::{
    self as abi, ALGORITHM_CONSISTENT_HASH, ALGORITHM_LEAST_CONNECTIONS, Frontend, POSITIONS,
};
use etm_dataplane::MapError;
use etm_decide::{
    Call, Tables as _,
    affinity::{age, is_expired, stays},
    balance, position,
};
use etm_model::{HashField, Protocol, from_abi};

use crate::explain::{
    explanation::{Affinity, AffinityEntry, Explanation, Field, Hash, Outcome},
    members::{Members, backend},
    steps::Steps,
};

const SECOND: u64 = 1_000_000_000;

impl Steps<'_> {
    /// Chooses among members of which at least one is available.
    pub(super) fn balance(
        &self,
        frontend: &Frontend,
        header: &abi::Balancing,
        members: &mut Members<'_>,
        told: &mut Explanation,
    ) -> Result<(), MapError> {
        if header.affinity != 0 && self.stays(frontend, header.affinity, told)? {
            return Ok(());
        }
        match header.algorithm {
            ALGORITHM_CONSISTENT_HASH => self.hash(frontend, header, members, told),
            ALGORITHM_LEAST_CONNECTIONS => {
                members.count();
                members.one_of(told, "the less loaded of two that are drawn for each call");
                told.notes.push(
                    "which two are drawn cannot be known before; a member's load is its \
                     connections from this node, over its weight"
                        .to_owned(),
                );
            }
            _ => members.at_random(told, "at random"),
        }
        if header.affinity != 0 && told.result == Outcome::OneOf {
            told.notes.push(match self.known.address(self.key.ip) {
                Some(_) => "the client stays with the one that its next call gets".to_owned(),
                None => "a client whose address is not known stays with none".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether the client stays with a member.
    fn stays(
        &self,
        frontend: &Frontend,
        seconds: u32,
        told: &mut Explanation,
    ) -> Result<bool, MapError> {
        let client = self.known.address(self.key.ip);
        let entry = match client {
            Some(client) => self.live.affinity(frontend.service, client)?,
            None => None,
        };
        let mut affinity =
            Affinity { seconds, client: client.map(|client| from_abi(&client)), entry: None };
        let Some(entry) = entry else {
            told.affinity = Some(affinity);
            return Ok(false);
        };
        let now = self.live.now();
        let (generation, class) = (frontend.generation, abi::Class::of(frontend.target()));
        let verdict = if is_expired(&entry, now, seconds) {
            "expired"
        } else if stays(self.live, generation, class, &entry, now).is_some() {
            "kept"
        } else if self.live.available(entry.backend).is_none() {
            "out"
        } else {
            "no member"
        };
        let backend = backend(self.view, self.live, entry.backend)?;
        let kept = verdict == "kept";
        if kept {
            told.result = Outcome::Pod;
            told.reason = format!("its client was given it and stays for {seconds} s");
            told.destination = Some(backend.clone());
        }
        affinity.entry =
            Some(AffinityEntry { backend, age_seconds: age(&entry, now) / SECOND, verdict });
        told.affinity = Some(affinity);
        Ok(kept)
    }

    /// Chooses by a hash.
    fn hash(
        &self,
        frontend: &Frontend,
        header: &abi::Balancing,
        members: &mut Members<'_>,
        told: &mut Explanation,
    ) {
        let target = frontend.target();
        let fields = self.fields(header.fields);
        let unknown = fields.iter().find(|field| field.value.is_none()).map(|field| field.field);
        let position = unknown.is_none().then(|| position(header, &self.call()));
        told.hash =
            Some(Hash { fields, salt: hexadecimal(header.salt), position, positions: POSITIONS });
        let chosen =
            position.and_then(|at| Some((at, balance::at(self.live, target, header, at)?)));
        let Some((position, id)) = chosen else {
            return members.unknown_field(told, unknown);
        };
        members.rank(position, header.weighted != 0);
        told.result = Outcome::Pod;
        told.destination = members.row(id).map(|row| row.backend.clone());
        let best = balance::best(self.live, target, header, position);
        let best_row = best.filter(|best| *best != id).and_then(|best| members.row(best));
        told.reason = match best_row {
            None => format!("of all members it ranks position {position} best"),
            Some(best) => format!(
                "of the available members it ranks position {position} best; {}, which ranks it \
                 best of all, is {}",
                best.backend, best.state
            ),
        };
    }

    /// What is hashed, as the programs know it of the call.
    fn call(&self) -> Call {
        let (pod, namespace) =
            self.known.record.map_or((0, 0), |(_, record)| (record.pod, record.namespace));
        Call {
            pod,
            namespace,
            address: self.known.address(self.key.ip).unwrap_or_default(),
            port: self.source_port.unwrap_or_default().to_be(),
            service_port: self.address.port().to_be(),
            protocol: match self.protocol {
                Protocol::Udp => abi::PROTOCOL_UDP,
                Protocol::Tcp | Protocol::Sctp => abi::PROTOCOL_TCP,
            },
        }
    }

    /// The fields that are hashed, with their values.
    fn fields(&self, bits: u8) -> Vec<Field> {
        HashField::of_bits(bits).map(|field| self.field(field)).collect()
    }

    fn field(&self, field: HashField) -> Field {
        // A cgroup whose Pod is not known yet is as good as unknown.
        let record = self.known.record.map(|(_, record)| record).filter(|record| record.pod != 0);
        let (value, number) = match field {
            HashField::CallerPod => {
                (record.map(|_| self.known.name.clone()), record.map(|record| record.pod))
            }
            HashField::CallerAddress => {
                let address = record.and_then(|_| self.known.address(self.key.ip));
                (address.map(|address| from_abi(&address).to_string()), None)
            }
            HashField::CallerNamespace => {
                let namespace = self.known.name.split_once('/').map_or("", |(name, _)| name);
                (record.map(|_| namespace.to_owned()), record.map(|record| record.namespace))
            }
            HashField::CallerPort => (self.source_port.map(|port| port.to_string()), None),
            HashField::ServicePort => (Some(self.address.port().to_string()), None),
            HashField::Protocol => (Some(self.protocol.to_string()), None),
        };
        Field { field, value, number: number.map(hexadecimal) }
    }
}

impl Members<'_> {
    /// Says that each call is drawn anew, by weight.
    pub(super) fn at_random(&mut self, told: &mut Explanation, how: &str) {
        self.share();
        self.one_of(told, how);
        if told.result == Outcome::OneOf {
            told.notes.push("which one a call gets cannot be known before it is made".into());
        }
    }

    /// Says that a field of the hash is not known, which makes the choice random.
    fn unknown_field(&mut self, told: &mut Explanation, field: Option<HashField>) {
        let name = field.map_or("its hash", HashField::name);
        self.at_random(told, &format!("at random, since {name} is not known"));
        if told.result == Outcome::OneOf {
            told.notes.push(match field {
                Some(HashField::CallerPort) => {
                    "a socket that is not bound has no port yet when it connects, and goes \
                     anywhere; for one that is bound, give --source-port"
                        .to_owned()
                }
                _ => {
                    "a caller that is neither a Pod of this node nor the node goes anywhere".into()
                }
            });
        }
    }
}

/// A number of 64 bits.
fn hexadecimal(number: u64) -> String {
    format!("{number:016x}")
}
