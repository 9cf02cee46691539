use etm_api::ReleaseStatus;
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// Sets a condition. `Healthy` with the same status, reason and generation stays as it is, so that figures
/// in its message alone are no reason to write. While nothing is decided, figures that have doubled are
/// one, so that whoever waits sees whether anything comes.
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
            let news = match (of, word) {
                ("Healthy", "Unknown") => is_news(&before.message, message),
                ("Healthy", _) => false,
                _ => before.message != message,
            };
            if before.reason == reason && before.observed_generation == generation && !news {
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

/// Whether a message has other words than before, or its first number is twice as large.
fn is_news(before: &str, message: &str) -> bool {
    let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    let first = |text: &str| {
        let number = text.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty());
        number.and_then(|number| number.parse::<u64>().ok()).unwrap_or_default()
    };
    words(before) != words(message) || first(message) > first(before).saturating_mul(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_they_double() {
        let mut status = ReleaseStatus::default();
        let mut told = |word: &str, message: &str| {
            let now = Timestamp::UNIX_EPOCH;
            set(&mut status, "Healthy", (word, "Undecided", message), now);
            status.conditions[0].message.clone()
        };
        assert_eq!(told("Unknown", "nothing yet"), "nothing yet");
        assert_eq!(told("Unknown", "3 of 50 connections"), "3 of 50 connections");
        assert_eq!(told("Unknown", "6 of 50 connections"), "3 of 50 connections");
        assert_eq!(told("Unknown", "7 of 50 connections"), "7 of 50 connections");
        assert_eq!(told("Unknown", "8 of 50 connections"), "7 of 50 connections");
        assert_eq!(told("True", "50 of 50 connections"), "50 of 50 connections");
        assert_eq!(told("True", "500 of 500 connections"), "50 of 50 connections");
    }

    #[test]
    fn what_is_waited_for_is_told_as_it_is_now() {
        let mut status = ReleaseStatus::default();
        for message in ["waits until its versions are known", "waits for the new version"] {
            set(&mut status, "Progressing", ("False", "Pending", message), Timestamp::UNIX_EPOCH);
            assert_eq!(status.conditions[0].message, message);
        }
        let since = status.conditions[0].last_transition_time.clone();
        assert_eq!(since, Time(Timestamp::UNIX_EPOCH));
    }
}
