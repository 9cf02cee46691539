use etm_model::with_causes;

/// What the API server said, or why it said nothing.
pub(crate) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("HTTP {}: {}", status.code, status.message),
        error => with_causes(error),
    }
}
