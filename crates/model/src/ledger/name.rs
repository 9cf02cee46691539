//! Names as the kernel's maps have them.

use std::sync::Arc;

use etm_abi as abi;

use crate::{object::ObjectName, plan::ServicePortName};

/// The name that stands beside a backend.
#[derive(Clone, Debug)]
pub(super) enum PodName {
    /// Shared with the Plan: at 100,000 backends a text for each would take 6 MiB.
    Pod(ObjectName),
    /// Read back, and not yet seen to be that of a Pod.
    Text(Box<str>),
}

impl PodName {
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
}
