//! Conditions: what is true of an object, since when and why.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::null::or_default;

/// One condition of a management object.
///
/// Times are RFC 3339 with seconds; Rancher writes an absent time as nothing
/// or as an empty string (`recorded/http/03-clusters.txt`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The name of the condition.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// When the condition was last written with a change.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_update_time: String,
    /// When the status last changed.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_transition_time: String,
    /// A word for machines; `Error` marks the object as failed.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for people.
    #[serde(default, deserialize_with = "or_default")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// The value of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

impl Status {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// Time as management objects write it: RFC 3339, whole seconds, UTC.
#[must_use]
pub fn timestamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Finds a condition by name.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.kind == kind)
}

/// Whether a condition is there and `True`.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// Sets a condition, keeping its place and, when nothing changes, its times.
///
/// Returns whether anything changed.
pub fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: Status,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> bool {
    let index = conditions
        .iter()
        .position(|condition| condition.kind == kind);
    let index = index.unwrap_or_else(|| {
        conditions.push(Condition {
            kind: kind.to_owned(),
            ..Condition::default()
        });
        conditions.len() - 1
    });
    let condition = &mut conditions[index];
    let status = status.as_str();
    if condition.status == status && condition.reason == reason && condition.message == message {
        return false;
    }
    if condition.status != status && !condition.status.is_empty() {
        condition.last_transition_time = timestamp(now);
    }
    condition.last_update_time = timestamp(now);
    status.clone_into(&mut condition.status);
    reason.clone_into(&mut condition.reason);
    message.clone_into(&mut condition.message);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_same_again_changes_nothing() {
        let mut conditions = Vec::new();
        let first = Timestamp::from_second(1_000).unwrap();
        assert!(set(&mut conditions, "Ready", Status::True, "", "", first));
        let before = conditions.clone();
        assert!(!set(
            &mut conditions,
            "Ready",
            Status::True,
            "",
            "",
            Timestamp::from_second(2_000).unwrap()
        ));
        assert_eq!(conditions, before);
    }

    #[test]
    fn a_changed_status_moves_both_times_and_keeps_the_place() {
        let mut conditions = Vec::new();
        let now = Timestamp::from_second(0).unwrap();
        set(&mut conditions, "Ready", Status::True, "", "", now);
        set(&mut conditions, "Other", Status::True, "", "", now);
        let later = Timestamp::from_second(60).unwrap();
        assert!(set(
            &mut conditions,
            "Ready",
            Status::False,
            "Disconnected",
            "gone",
            later
        ));
        assert_eq!(conditions[0].kind, "Ready");
        assert_eq!(conditions[0].last_transition_time, "1970-01-01T00:01:00Z");
        assert_eq!(conditions[0].last_update_time, "1970-01-01T00:01:00Z");
    }
}
