//! What references to objects name.

/// Whether a reference names a Service: the core group has no name, and some write it as `core`.
pub(super) fn is_service(group: Option<&str>, kind: Option<&str>) -> bool {
    matches!(group, Some("" | "core")) && kind == Some("Service")
}

/// Whether a backend is a Service, which it is by default.
pub(super) fn is_service_by_default(group: Option<&str>, kind: Option<&str>) -> bool {
    is_service(group.or(Some("")), kind.or(Some("Service")))
}

/// The number of a port, if it is one.
pub(super) fn port(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|number| *number > 0)
}
