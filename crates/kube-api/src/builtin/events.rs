//! Events: one table, two published forms.
//!
//! The core form is stored. The form of `events.k8s.io/v1` has the same members under other names (k8s.io/kubernetes
//! `pkg/apis/events/v1/conversion.go`, v1.36).

use serde_json::{Map, Value, json};

use crate::registry::Convert;

/// New name, then the core form's.
const NAMES: [(&str, &str); 7] = [
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reportingController", "reportingComponent"),
];

/// `events.k8s.io/v1`.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewForm;

impl Convert for NewForm {
    fn to_storage(&self, object: &mut Value) {
        let Some(members) = object.as_object_mut() else {
            return;
        };
        for (new, core) in NAMES {
            rename(members, new, core);
        }
        for (name, empty) in [
            ("involvedObject", json!({})),
            ("source", json!({})),
            ("firstTimestamp", Value::Null),
            ("lastTimestamp", Value::Null),
            ("eventTime", Value::Null),
            ("reportingComponent", json!("")),
            ("reportingInstance", json!("")),
        ] {
            members.entry(name).or_insert(empty);
        }
    }

    fn of_storage(&self, object: &mut Value) {
        let Some(members) = object.as_object_mut() else {
            return;
        };
        for (new, core) in NAMES {
            rename(members, core, new);
        }
        for name in ["reportingController", "reportingInstance"] {
            if members.get(name) == Some(&json!("")) {
                members.remove(name);
            }
        }
    }
}

fn rename(members: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = members.remove(from) {
        members.insert(to.to_owned(), value);
    }
}

/// The selectable fields that are no plain paths.
pub(super) fn field(object: &Value, path: &str) -> Option<String> {
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    match path {
        "source" => {
            let component = text("/source/component");
            Some(if component.is_empty() {
                text("/reportingComponent")
            } else {
                component
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_the_same_event() {
        let core = json!({
            "involvedObject": {"kind": "Pod", "name": "p"}, "message": "m", "count": 2, "source": {"component": "c"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": null, "eventTime": null,
            "reportingComponent": "", "reportingInstance": "",
        });
        let mut event = core.clone();
        NewForm.of_storage(&mut event);
        assert_eq!(event["regarding"]["name"], "p");
        assert_eq!(event["note"], "m");
        NewForm.to_storage(&mut event);
        assert_eq!(event, core);
    }
}
