//! Kubernetes objects in a few words, for [`Manifests`](crate::Manifests).
//!
//! Each builder starts from what every object of its kind has; `set` reaches any other field.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

macro_rules! object {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $name(Value);

        impl $name {
            /// Puts it into another namespace than `default`.
            #[must_use]
            pub fn namespace(self, namespace: &str) -> Self {
                self.set("metadata.namespace", namespace)
            }

            /// Adds a label.
            #[must_use]
            pub fn label(self, key: &str, value: &str) -> Self {
                // Not by `set`: label keys contain dots.
                let mut object = self;
                entry(&mut object.0, &["metadata", "labels"])[key] = value.into();
                object
            }

            /// Sets the field at a path of keys with dots between.
            #[must_use]
            pub fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
                let keys: Vec<&str> = path.split('.').collect();
                *entry(&mut self.0, &keys) = value.into();
                self
            }
        }

        impl From<$name> for Value {
            fn from(object: $name) -> Self {
                object.0
            }
        }
    };
}

object! {
    /// A Service.
    Service
}
object! {
    /// An EndpointSlice.
    EndpointSlice
}
object! {
    /// A Pod.
    Pod
}
object! {
    /// A TrafficPolicy.
    TrafficPolicy
}

impl Service {
    /// A Service of type ClusterIP at these addresses, the first one its `clusterIP`.
    #[must_use]
    pub fn new(name: &str, addresses: &[IpAddr]) -> Self {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let families: Vec<&str> =
            addresses.iter().map(|a| if a.contains(':') { "IPv6" } else { "IPv4" }).collect();
        Self(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
            "spec": {
                "type": "ClusterIP",
                "clusterIP": addresses.first(),
                "clusterIPs": addresses,
                "ipFamilies": families,
                "ports": [],
            },
        }))
    }

    /// Adds a port; `protocol` is `TCP` or `UDP`, the target a number or a port's name.
    #[must_use]
    pub fn port(mut self, name: &str, protocol: &str, port: u16, target: impl Into<Value>) -> Self {
        let target: Value = target.into();
        let port = json!({"name": name, "protocol": protocol, "port": port, "targetPort": target});
        push(entry(&mut self.0, &["spec", "ports"]), port);
        self
    }

    /// Selects the Pods with a label.
    #[must_use]
    pub fn selector(mut self, key: &str, value: &str) -> Self {
        entry(&mut self.0, &["spec", "selector"])[key] = value.into();
        self
    }
}

impl TrafficPolicy {
    /// A policy that bears the name of its Service, with its `spec.loadBalancing`.
    #[must_use]
    pub fn new(service: &str, load_balancing: impl Into<Value>) -> Self {
        let load_balancing: Value = load_balancing.into();
        Self(json!({
            "apiVersion": "etm.dev/v1alpha1",
            "kind": "TrafficPolicy",
            "metadata": {"name": service, "namespace": "default"},
            "spec": {"targetRef": {"name": service}, "loadBalancing": load_balancing},
        }))
    }
}

/// A `spec.loadBalancing` that hashes these fields.
#[must_use]
pub fn consistent_hash(fields: &[&str]) -> Value {
    json!({"algorithm": "ConsistentHash", "consistentHash": {"fields": fields}})
}

impl EndpointSlice {
    /// A slice of a Service, without endpoints; `name` is the slice's own.
    #[must_use]
    pub fn new(name: &str, service: &str, family: &str) -> Self {
        Self(json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": family,
            "ports": [],
            "endpoints": [],
        }))
    }

    /// Adds a port.
    #[must_use]
    pub fn port(mut self, name: &str, protocol: &str, port: u16) -> Self {
        let port = json!({"name": name, "protocol": protocol, "port": port});
        push(entry(&mut self.0, &["ports"]), port);
        self
    }

    /// Adds an endpoint that is ready, or is not and does not serve either.
    #[must_use]
    pub fn endpoint(self, address: impl Into<IpAddr>, ready: bool) -> Self {
        self.endpoint_with(address, ready, ready, false)
    }

    /// Adds an endpoint with all three conditions.
    #[must_use]
    pub fn endpoint_with(
        mut self,
        address: impl Into<IpAddr>,
        ready: bool,
        serving: bool,
        terminating: bool,
    ) -> Self {
        let endpoint = json!({
            "addresses": [address.into().to_string()],
            "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        });
        push(entry(&mut self.0, &["endpoints"]), endpoint);
        self
    }
}

impl Pod {
    /// A running Pod at these addresses, ready.
    #[must_use]
    pub fn new(name: &str, addresses: &[IpAddr]) -> Self {
        let addresses: Vec<Value> =
            addresses.iter().map(|address| json!({"ip": address.to_string()})).collect();
        Self(json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default", "uid": format!("uid-{name}")},
            "spec": {"containers": []},
            "status": {
                "phase": "Running",
                "podIP": addresses.first().and_then(|address| address.get("ip")),
                "podIPs": addresses,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        }))
    }

    /// A Pod of the testkit with its name and both its addresses.
    #[must_use]
    pub fn of(pod: &crate::Pod) -> Self {
        Self::new(pod.name(), &[pod.ipv4().into(), pod.ipv6().into()])
    }

    /// Whether its condition `Ready` holds.
    #[must_use]
    pub fn ready(self, ready: bool) -> Self {
        let status = if ready { "True" } else { "False" };
        self.set("status.conditions", json!([{"type": "Ready", "status": status}]))
    }

    /// Adds a container's port with a name, for Services that target it by that.
    #[must_use]
    pub fn port(mut self, name: &str, protocol: &str, port: u16) -> Self {
        let port = json!({"name": name, "protocol": protocol, "containerPort": port});
        let container = json!({"name": format!("serves-{name}"), "ports": [port]});
        push(entry(&mut self.0, &["spec", "containers"]), container);
        self
    }
}

/// The value at a path of keys, with the objects on the way made where they are missing.
fn entry<'a>(value: &'a mut Value, keys: &[&str]) -> &'a mut Value {
    keys.iter().fold(value, |value, &key| {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        &mut value[key]
    })
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        _ => *list = Value::Array(vec![item]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_labels_and_lists_land_where_kubernetes_has_them() {
        let address: IpAddr = "10.96.0.10".parse().expect("an address");
        let service: Value = Service::new("web", &[address])
            .port("http", "TCP", 80, 8080)
            .selector("app", "web")
            .label("service.kubernetes.io/service-proxy-name", "other")
            .set("spec.sessionAffinity", "None")
            .into();
        assert_eq!(service["spec"]["clusterIPs"], json!(["10.96.0.10"]));
        assert_eq!(service["spec"]["ports"][0]["targetPort"], 8080);
        assert_eq!(service["spec"]["selector"]["app"], "web");
        assert_eq!(service["spec"]["sessionAffinity"], "None");
        let labels = &service["metadata"]["labels"];
        assert_eq!(labels["service.kubernetes.io/service-proxy-name"], "other");
    }
}
