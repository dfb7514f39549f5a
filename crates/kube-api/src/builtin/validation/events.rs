//! Events, in both of their forms (kubernetes `pkg/apis/core/validation/events.go`, v1.36). The newer form is checked
//! more strictly; both are told of by the members' names of the older.

use drover_structural::{FieldError, names};
use serde_json::{Value, json};

use super::place::Place;

const LONGEST: usize = 128;
const LONGEST_NOTE: usize = 1024;

/// An event by the names of its members in the older form.
struct Event<'o> {
    object: &'o Value,
    newer: bool,
}

impl<'o> Event<'o> {
    fn member(&self, name: &str) -> &'o Value {
        let name = match (self.newer, name) {
            (true, "involvedObject") => "regarding",
            (true, "message") => "note",
            (true, "count") => "deprecatedCount",
            (true, "source") => "deprecatedSource",
            (true, "firstTimestamp") => "deprecatedFirstTimestamp",
            (true, "lastTimestamp") => "deprecatedLastTimestamp",
            (false, "reportingController") => "reportingComponent",
            (_, name) => name,
        };
        static NOTHING: Value = Value::Null;
        self.object.get(name).unwrap_or(&NOTHING)
    }

    fn text(&self, name: &str) -> &'o str {
        self.member(name).as_str().unwrap_or_default()
    }
}

/// What is wrong with an event; `old` is the one before.
pub(super) fn check(
    newer: bool,
    object: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let event = Event { object, newer };
    always(&event, errors);
    if !newer {
        return;
    }
    match old {
        None => new(&event, errors),
        Some(old) => {
            let old = Event { object: old, newer };
            if event.member("series") != old.member("series") {
                series(&event, errors);
            }
            unchanged(&event, &old, errors);
        }
    }
}

fn always(event: &Event<'_>, errors: &mut Vec<FieldError>) {
    let home = event.object["metadata"]["namespace"]
        .as_str()
        .unwrap_or_default();
    let involved = event.member("involvedObject")["namespace"]
        .as_str()
        .unwrap_or_default();
    let is_old = event.member("eventTime").is_null();
    let fits = match (is_old, involved.is_empty()) {
        (true, true) => matches!(home, "" | "default"),
        (true, false) => home == involved,
        (false, true) => matches!(home, "default" | "kube-system"),
        (false, false) => true,
    };
    if !fits {
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            involved,
            "does not match event.namespace",
        ));
    }
    if is_old {
        return;
    }
    let controller = event.text("reportingController");
    let named = if event.newer {
        "reportingController"
    } else {
        "reportingComponent"
    };
    if controller.is_empty() {
        errors.push(FieldError::required(named, ""));
    }
    let found = names::qualified_name(controller).into_iter();
    errors.extend(found.map(|problem| FieldError::invalid(named, controller, problem)));
    for name in ["reportingInstance", "action", "reason"] {
        let text = event.text(name);
        if text.is_empty() {
            errors.push(FieldError::required(name, ""));
        }
        if text.len() > LONGEST {
            let detail = format!("can have at most {LONGEST} characters");
            errors.push(FieldError::invalid(name, "", detail));
        }
    }
    if event.text("message").len() > LONGEST_NOTE {
        let detail = format!("can have at most {LONGEST_NOTE} characters");
        errors.push(FieldError::invalid("message", "", detail));
    }
}

fn series(event: &Event<'_>, errors: &mut Vec<FieldError>) {
    let series = Place::of(event.object, "series");
    if !series.is_set() {
        return;
    }
    if series.child("count").number().unwrap_or(0) < 2 {
        errors.push(FieldError::invalid(
            "series.count",
            "",
            "should be at least 2",
        ));
    }
    let last = series.child("lastObservedTime");
    if !last.is_set() {
        errors.push(last.missing(""));
    }
}

fn new(event: &Event<'_>, errors: &mut Vec<FieldError>) {
    series(event, errors);
    if event.member("eventTime").is_null() {
        errors.push(FieldError::required("eventTime", ""));
    }
    let kind = event.text("type");
    if !matches!(kind, "Normal" | "Warning") {
        errors.push(FieldError::invalid(
            "type",
            "",
            format!("has invalid value: {kind}"),
        ));
    }
    for name in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let value = event.member(name);
        let is_set = match value {
            Value::Null => false,
            Value::Number(number) => number.as_i64() != Some(0),
            Value::Object(members) => members.values().any(|text| text != ""),
            _ => true,
        };
        if is_set {
            errors.push(FieldError::invalid(name, "", "needs to be unset"));
        }
    }
}

fn unchanged(new: &Event<'_>, old: &Event<'_>, errors: &mut Vec<FieldError>) {
    // The real server tells of the reason twice.
    for name in [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "reason",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingController",
        "reportingInstance",
    ] {
        let (now, before) = (new.member(name), old.member(name));
        if now != before && !(is_nothing(now) && is_nothing(before)) {
            errors.push(FieldError::invalid(name, now.clone(), super::IMMUTABLE));
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || *value == json!("") || *value == json!({}) || *value == json!(0)
}
