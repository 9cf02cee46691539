//! Names as the kernel's maps have them.

use std::sync::Arc;

use etm_abi as abi;

use crate::{
    object::{ObjectName, Protocol},
    plan::ServicePortName,
};

/// The name that stands beside a backend.
#[derive(Clone, Debug)]
pub(super) enum PodName {
    /// Shared with the Plan: at 100,000 backends a text for each would take 6 MiB.
    Pod(ObjectName),
    /// Read back, and not yet seen to be that of a Pod.
    Text(Box<str>),
}

impl PodName {
    /// The Pod, as far as it is known.
    pub(super) fn pod(&self) -> Option<ObjectName> {
        match self {
            Self::Pod(known) => Some(known.clone()),
            Self::Text(text) => object_name(text),
        }
    }

    /// Whether it is the name of a Pod, as far as the map can hold that.
    pub(super) fn is(&self, pod: &ObjectName) -> bool {
        match self {
            Self::Pod(known) => known == pod,
            Self::Text(text) => **text == *backend_name(pod),
        }
    }
}

/// The text for a Pod, as far as `BACKEND_NAMES` can hold it.
pub(super) fn backend_name(pod: &ObjectName) -> Arc<str> {
    cut(&[&*pod.namespace, "/", &*pod.name].concat(), abi::BACKEND_NAME_LEN).into()
}

/// The text for a Service port, as far as `SERVICE_NAMES` can hold it.
pub(super) fn service_name(name: &ServicePortName) -> Arc<str> {
    cut(&name.to_string(), abi::SERVICE_NAME_LEN).into()
}

/// The Service port that a text of `SERVICE_NAMES` stands for. Of one that was cut, whatever reads
/// the same when it is cut again.
pub(super) fn service_port(text: &str) -> Option<ServicePortName> {
    let (text, protocol) = match text.rsplit_once('/') {
        Some((before, "TCP")) => (before, Protocol::Tcp),
        Some((before, "UDP")) => (before, Protocol::Udp),
        // Of a Service's first port, where all other ports are refused.
        Some((before, "SCTP")) => (before, Protocol::Sctp),
        _ => (text, Protocol::Tcp),
    };
    let (service, port) = text.split_once(':').unwrap_or((text, ""));
    Some(ServicePortName { service: object_name(service)?, port: port.into(), protocol })
}

fn object_name(text: &str) -> Option<ObjectName> {
    let (namespace, name) = text.split_once('/')?;
    Some(ObjectName::new(namespace, name))
}

fn cut(text: &str, length: usize) -> &str {
    &text[..text.floor_char_boundary(length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_known_by_what_the_map_holds_of_it() {
        let pod = ObjectName::new("shop", "\u{e9}".repeat(100));
        let text = backend_name(&pod);
        assert_eq!(text.len(), abi::BACKEND_NAME_LEN - 1);
        assert!(PodName::Text((*text).into()).is(&pod));
    }

    #[test]
    fn a_text_is_that_of_what_it_was_read_as() {
        let long = "x".repeat(abi::SERVICE_NAME_LEN);
        for (port, protocol) in
            [("", Protocol::Tcp), ("dns", Protocol::Udp), (&long, Protocol::Udp)]
        {
            let service = ObjectName::new("shop", "cart");
            let name = ServicePortName { service, port: port.into(), protocol };
            let text = service_name(&name);
            let read = service_port(&text).unwrap();
            assert_eq!(service_name(&read), text);
            assert_eq!(read == name, port != long);
        }
        assert_eq!(service_port("no place"), None);
    }
}
