//! Makes equal what differs between any two servers: identifiers, times, revisions, random names, tokens.
//!
//! Revisions of objects become their order of appearance in a scenario, so that a write that should change nothing and
//! does is seen.

use std::sync::LazyLock;

use drover_testkit::http::Answer;
use regex::Regex;
use serde_json::{Map, Value, json};

static UID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
});
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})").unwrap()
});
/// The Go type a decoding error names.
static GO_TYPE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Go struct field \w+\.").unwrap());
static RECORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"in record \(\d+\)").unwrap());
static SERVER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^127\.0\.0\.1:\d+$").unwrap());
static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d{1,3}s|\d+m(\d+s)?)$").unwrap());

/// What a controller manager makes in each namespace; ours does it by itself.
const CONTROLLERS_OWN: [&str; 2] = ["kube-root-ca.crt", "default"];

/// Members whose text says nothing to a client.
const OPAQUE: [&str; 5] = [
    "continue",
    "token",
    "storageVersionHash",
    "hash",
    "serverRelativeURL",
];

/// What one server answered in a scenario so far.
#[derive(Debug, Default)]
pub(crate) struct Normal {
    revisions: Vec<String>,
}

impl Normal {
    /// An answer in a form that can be compared.
    pub(crate) fn answer(&mut self, answer: &Answer) -> Value {
        let mut headers = Map::new();
        for name in [
            "content-type",
            "warning",
            "retry-after",
            "allow",
            "www-authenticate",
            "location",
        ] {
            let values = answer
                .headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().unwrap_or("?"))
                .collect::<Vec<_>>();
            if !values.is_empty() {
                headers.insert(name.to_owned(), json!(values));
            }
        }
        let lines = || {
            answer
                .body
                .lines()
                .map(serde_json::from_str::<Value>)
                .collect::<Result<Vec<_>, _>>()
        };
        let mut body = match serde_json::from_str::<Value>(&answer.body) {
            // A watch with one event.
            Ok(event) if event.get("type").is_some() && event.get("object").is_some() => {
                json!([event])
            }
            Ok(value) => value,
            Err(_) => match lines() {
                Ok(lines) => Value::Array(lines),
                Err(_) => Value::from(answer.body.as_str()),
            },
        };
        drop_controllers_own(&mut body);
        sort_causes(&mut body);
        self.value(&mut body);
        let mut whole = json!({"status": answer.status.as_u16(), "headers": headers, "body": body});
        self.value(&mut whole["headers"]);
        whole
    }

    fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => Self::text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                self.metadata(members);
                for (name, member) in members.iter_mut() {
                    match member {
                        Value::String(text)
                            if OPAQUE.contains(&name.as_str()) && !text.is_empty() =>
                        {
                            "<opaque>".clone_into(text);
                        }
                        member => self.value(member),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(text: &mut String) {
        if text.contains('-') {
            let changed = UID.replace_all(text, "<uid>");
            let changed = TIME.replace_all(&changed, "<time>").into_owned();
            *text = changed;
        }
        if text.contains("Go struct field") {
            *text = GO_TYPE
                .replace_all(text, "Go struct field <type>.")
                .into_owned();
        }
        if text.contains("in record (") {
            *text = RECORD
                .replace_all(text, "in record (<revision>)")
                .into_owned();
        }
        if AGE.is_match(text) {
            "<age>".clone_into(text);
        }
        if SERVER.is_match(text) {
            "<server>".clone_into(text);
        }
    }

    /// Revision and random name, if this is the metadata of an object or list.
    fn metadata(&mut self, members: &mut Map<String, Value>) {
        let base = members
            .get("generateName")
            .and_then(Value::as_str)
            .map(str::to_owned);
        if let (Some(base), Some(Value::String(name))) = (base, members.get_mut("name"))
            && let base = base.get(..58).unwrap_or(&base)
            && name.starts_with(base)
            && name.len() == base.len() + 5
        {
            *name = format!("{base}<random>");
        }
        if let Some(Value::Array(owners)) = members.get_mut("managedFields") {
            // The servers' clocks turn at different moments; random writers look at the order.
            owners.sort_by_key(|owner| owner_key(owner, false));
        }
        let single = members.contains_key("uid");
        if let Some(Value::String(revision)) = members.get_mut("resourceVersion")
            && !revision.is_empty()
            && revision != "0"
        {
            if single {
                let place = self
                    .revisions
                    .iter()
                    .position(|known| known == revision)
                    .unwrap_or_else(|| {
                        self.revisions.push(revision.clone());
                        self.revisions.len() - 1
                    });
                *revision = format!("<revision {place}>");
            } else {
                "<revision>".clone_into(revision);
            }
        }
    }
}

/// By what the owners of an object are ordered.
pub(crate) fn owner_key(owner: &Value, with_time: bool) -> Vec<String> {
    let names: &[&str] = if with_time {
        &["operation", "time", "manager", "apiVersion", "subresource"]
    } else {
        &["operation", "manager", "apiVersion", "subresource"]
    };
    names
        .iter()
        .map(|name| owner[*name].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Removes from a list, table or watch what only controllers make.
fn drop_controllers_own(body: &mut Value) {
    let own = |item: &Value| {
        let name = [
            "/metadata/name",
            "/object/metadata/name",
            "/cells/0",
            "/object/rows/0/cells/0",
        ]
        .iter()
        .find_map(|place| item.pointer(place)?.as_str());
        name.is_some_and(|name| CONTROLLERS_OWN.contains(&name))
    };
    match body {
        Value::Array(events) => {
            let columns = events
                .iter_mut()
                .find(|event| own(event))
                .and_then(|event| event.pointer_mut("/object/columnDefinitions"))
                .map(Value::take)
                .filter(|columns| !columns.is_null());
            events.retain(|event| !own(event));
            // Columns come with the first event, whichever that is.
            if let Some(columns) = columns
                && let Some(first) = events.first_mut()
                && first
                    .pointer("/object/columnDefinitions")
                    .is_some_and(Value::is_null)
            {
                first["object"]["columnDefinitions"] = columns;
            }
        }
        Value::Object(list) => {
            for member in ["items", "rows"] {
                if let Some(Value::Array(items)) = list.get_mut(member) {
                    items.retain(|item| !own(item));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts several causes of one refusal in order, as the real server finds those of maps in no fixed one. The message lists
/// them again, which is left out.
fn sort_causes(body: &mut Value) {
    let Some(causes) = body
        .pointer_mut("/details/causes")
        .and_then(Value::as_array_mut)
    else {
        return;
    };
    if causes.len() < 2 {
        return;
    }
    causes.sort_by_key(Value::to_string);
    if let Some(Value::String(message)) = body.get_mut("message")
        && let Some(end) = message.find(" is invalid: [")
    {
        message.truncate(end + " is invalid: ".len());
    }
}
