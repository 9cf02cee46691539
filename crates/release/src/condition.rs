use etm_api::ReleaseStatus;
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// Sets a condition; one with the same status, reason and generation stays as it is, so that figures in a
/// message alone are no reason to write.
pub(crate) fn set(
    status: &mut ReleaseStatus,
    of: &str,
    (word, reason, message): (&str, &str, &str),
    now: Timestamp,
) {
    let generation = status.observed_generation;
    let before = status.conditions.iter_mut().find(|condition| condition.type_ == of);
    let since = match &before {
        Some(before) if before.status == word => {
            if before.reason == reason && before.observed_generation == generation {
                return;
            }
            before.last_transition_time.clone()
        }
        _ => Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
    };
    let condition = Condition {
        type_: of.to_owned(),
        status: word.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since,
    };
    match before {
        Some(before) => *before = condition,
        None => status.conditions.push(condition),
    }
}
