//! One document, or one item of a list, of a kind that only its own fields tell.

use std::{fmt, sync::Arc};

use etm_api::{
    UncheckedNodeHealth, UncheckedRelease, UncheckedTrafficPolicy, UncheckedTrafficRoute,
};
use etm_model::RouteKind;
use k8s_openapi::api::{core::v1, discovery::v1 as discovery};
use kube::{api::DynamicObject, core::PartialObjectMeta};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error as _, IgnoredAny, IntoDeserializer, MapAccess, Visitor,
        value::MapAccessDeserializer,
    },
};
use serde_json::Value;
use serde_saphyr::Spanned;

use super::object::{Kind, Object};
use crate::convert::{self, Converted};

/// A document. Kubernetes' own types are converted at once, so that a long list is never in
/// memory in their size.
#[derive(Debug)]
pub(super) enum Document {
    /// One of the kinds that are read.
    Object(Kind, Converted<Object>),
    /// Any `…List`.
    List(Vec<Spanned<Self>>),
    /// Of a kind that is not read.
    Foreign(Foreign),
    /// Without a kind: an item of a list that has the kind for all, or nothing.
    Kindless(Vec<(String, Value)>),
}

/// What is told of a kind that is not read.
#[derive(Debug)]
pub(super) struct Foreign {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: Option<String>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    /// Reads fields into memory until kind and version are known, in hand-written files none, and
    /// the rest straight into the type that they name. Errors then have their true line.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let (mut api_version, mut kind) = (None::<String>, None::<String>);
        let mut items: Option<Vec<Spanned<Document>>> = None;
        let mut early = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let list = kind.as_deref().is_some_and(is_list);
            match key.as_str() {
                "apiVersion" => api_version = map.next_value()?,
                "kind" => kind = map.next_value()?,
                // Written in alphabetical order, as kubectl does, they come before the kind.
                "items" if list || kind.is_none() => items = map.next_value()?,
                _ if list => drop(map.next_value::<IgnoredAny>()?),
                _ => early.push((key, map.next_value()?)),
            }
            if let (Some(version), Some(kind)) = (&api_version, &kind)
                && !is_list(kind)
            {
                return object(version, kind, Fields::new(early, map));
            }
        }
        match kind {
            None => Ok(Document::Kindless(early)),
            Some(kind) if is_list(&kind) => {
                let version = api_version.unwrap_or_default();
                let items = items.unwrap_or_default();
                let items = items.into_iter().map(|item| item_of_list(&version, &kind, item));
                Ok(Document::List(items.collect::<Result<_, A::Error>>()?))
            }
            Some(kind) => object("", &kind, Fields::new(early, map)),
        }
    }
}

fn is_list(kind: &str) -> bool {
    kind.ends_with("List")
}

/// The items of the API server's own lists have no kind of their own.
fn item_of_list<E: serde::de::Error>(
    version: &str,
    kind: &str,
    mut item: Spanned<Document>,
) -> Result<Spanned<Document>, E> {
    if let (Document::Kindless(fields), Some(kind)) = (&mut item.value, kind.strip_suffix("List"))
        && !kind.is_empty()
    {
        let nothing =
            serde::de::value::MapDeserializer::<_, E>::new(std::iter::empty::<(&str, &str)>());
        item.value = object(version, kind, Fields::new(std::mem::take(fields), nothing))?;
    }
    Ok(item)
}

fn object<'de, A: MapAccess<'de>>(
    version: &str,
    kind: &str,
    fields: Fields<A>,
) -> Result<Document, A::Error> {
    let fields = MapAccessDeserializer::new(fields);
    let (kind, object) = match (version, kind) {
        ("v1", "Service") => {
            let service = v1::Service::deserialize(fields)?;
            let converted = match convert::headless(&service) {
                Some(headless) => headless.map(|(name, pods)| Object::Headless(name, pods)),
                None => convert::service(&service).map(Object::Service),
            };
            (Kind::Service, converted)
        }
        ("discovery.k8s.io/v1", "EndpointSlice") => {
            let slice = discovery::EndpointSlice::deserialize(fields)?;
            (Kind::EndpointSlice, convert::endpoint_slice(&slice).map(Object::EndpointSlice))
        }
        ("v1", "Pod") => {
            let pod = v1::Pod::deserialize(fields)?;
            (Kind::Pod, convert::pod(&pod).map(|pod| Object::Pod(Arc::new(pod))))
        }
        ("etm.dev/v1alpha1", "TrafficPolicy") => {
            let policy = UncheckedTrafficPolicy::deserialize(fields)?;
            (Kind::TrafficPolicy, convert::traffic_policy(&policy).map(Object::TrafficPolicy))
        }
        ("etm.dev/v1alpha1", "NodeHealth") => {
            let health = UncheckedNodeHealth::deserialize(fields)?;
            (Kind::NodeHealth, convert::node_health(&health).map(Object::NodeHealth))
        }
        ("v1", "Node") => {
            let node = v1::Node::deserialize(fields)?;
            (Kind::Node, convert::node(&node).map(Object::Node))
        }
        ("v1", "Namespace") => {
            let namespace = PartialObjectMeta::<v1::Namespace>::deserialize(fields)?;
            let converted = convert::namespace(&namespace.metadata);
            (Kind::Namespace, converted.map(|(name, labels)| Object::Namespace(name, labels)))
        }
        ("etm.dev/v1alpha1", "TrafficRoute") => {
            let route = UncheckedTrafficRoute::deserialize(fields)?;
            let converted = convert::traffic_route(&route);
            let routes = converted.map(|route| Object::Routes(route.owner.clone(), vec![route]));
            (Kind::Route(RouteKind::TrafficRoute), routes)
        }
        ("etm.dev/v1alpha1", "Release") => {
            let release = UncheckedRelease::deserialize(fields)?;
            let converted = match convert::unbegun(&release) {
                Some(unbegun) => unbegun.map(|release| Object::Release(Box::new(release))),
                None => convert::release(&release)
                    .map(|release| Object::Routes(release.owner, release.routes)),
            };
            (Kind::Route(RouteKind::Release), converted)
        }
        (version, "ReferenceGrant") if is_gateway(version) => {
            let grant = DynamicObject::deserialize(fields)?;
            let converted = convert::reference_grant(&grant);
            (Kind::ReferenceGrant, converted.map(Object::ReferenceGrant))
        }
        (version, kind) => {
            if let Some(kind) = gateway_kind(kind).filter(|_| is_gateway(version)) {
                let converted = convert::gateway_route(kind, &DynamicObject::deserialize(fields)?);
                let routes = converted.map(|route| Object::Routes(route.owner, route.routes));
                return Ok(Document::Object(Kind::Route(kind), routes));
            }
            let Header { metadata } = Header::deserialize(fields)?;
            return Ok(Document::Foreign(Foreign {
                api_version: version.to_owned(),
                kind: kind.to_owned(),
                name: metadata.and_then(|metadata| metadata.name),
            }));
        }
    };
    Ok(Document::Object(kind, object))
}

/// Whether it is a version of the Gateway API's group: what is read of its kinds is the same in all.
fn is_gateway(version: &str) -> bool {
    version.split_once('/').is_some_and(|(group, _)| group == convert::GATEWAY_GROUP)
}

/// The Gateway API's kinds with routes that are read.
fn gateway_kind(name: &str) -> Option<RouteKind> {
    let kinds =
        [RouteKind::TcpRoute, RouteKind::UdpRoute, RouteKind::GrpcRoute, RouteKind::HttpRoute];
    kinds.into_iter().find(|kind| kind.name() == name)
}

#[derive(Deserialize)]
struct Header {
    metadata: Option<Name>,
}

#[derive(Deserialize)]
struct Name {
    name: Option<String>,
}

/// Fields in memory, then those still to be read.
struct Fields<A> {
    early: std::vec::IntoIter<(String, Value)>,
    value: Option<(String, Value)>,
    rest: A,
}

impl<A> Fields<A> {
    fn new(early: Vec<(String, Value)>, rest: A) -> Self {
        Self { early: early.into_iter(), value: None, rest }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let Some((key, value)) = self.early.next() else {
            return self.rest.next_key_seed(seed);
        };
        let (key, _) = self.value.insert((key, value));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some((key, value)) => {
                seed.deserialize(value).map_err(|e| A::Error::custom(format!("in `{key}`: {e}")))
            }
            None => self.rest.next_value_seed(seed),
        }
    }
}
