//! What may be written down of headers, addresses and bodies.
//!
//! Default deny: names of fields are kept, values only where the tables in `schema` name them; numbers and booleans
//! only below known fields. Objects of kinds that hold secrets, bodies of actions and kinds nobody listed show their
//! identity alone. What still looks like a key, a token or a certificate is replaced wherever it stands.

mod pattern;
mod schema;

use http::HeaderMap;
use serde_json::{Map, Value};

use crate::target::Target;

/// Stands in place of what is not written down; the peer's word.
pub const REDACTED: &str = "[redacted]";
/// Longest text that is kept, in bytes.
const MAX_TEXT: usize = 1024;

/// Which fields of an object may show their values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    /// What the table of fields names.
    Listed,
    /// Its identity only.
    Identity,
}

fn redacted() -> Value {
    Value::String(REDACTED.to_owned())
}

/// A body of a request or an answer.
#[must_use]
pub fn body(target: &Target, body: &Value) -> Value {
    let resource = target.object.resource.as_deref().unwrap_or_default();
    let known = !target.action && schema::is_listed(resource);
    let show = if known { Show::Listed } else { Show::Identity };
    Redaction { resource }.value(show, true, body)
}

/// The redaction of one body.
struct Redaction<'a> {
    /// The kind that the path names.
    resource: &'a str,
}

impl Redaction<'_> {
    /// `top` is true where a list's items may stand.
    fn value(&self, show: Show, top: bool, value: &Value) -> Value {
        match value {
            Value::Object(fields) => self.object(show, top, fields),
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(show, top, item))
                .collect(),
            // Without a field's name nothing speaks for it.
            Value::String(_) | Value::Bool(_) | Value::Number(_) => redacted(),
            Value::Null => Value::Null,
        }
    }

    fn object(&self, show: Show, top: bool, fields: &Map<String, Value>) -> Value {
        let show = if show == Show::Listed && schema::holds_secrets(fields) {
            Show::Identity
        } else {
            show
        };
        fields
            .iter()
            .map(|(name, content)| (key(name), self.field(show, top, name, content)))
            .collect::<Map<_, _>>()
            .into()
    }

    fn field(&self, show: Show, top: bool, name: &str, content: &Value) -> Value {
        let allowed = match show {
            Show::Identity => schema::is_identity(name),
            Show::Listed => schema::is_shown(self.resource, name),
        };
        if schema::is_secret(name) {
            return redacted();
        }
        match content {
            Value::String(text) if allowed => Value::String(pattern::clean(text)),
            Value::Array(items) if allowed && items.iter().all(Value::is_string) => items
                .iter()
                .filter_map(Value::as_str)
                .map(|text| Value::String(pattern::clean(text)))
                .collect(),
            Value::Object(labels) if name == "labels" => labels
                .iter()
                .map(|(label, content)| (key(label), self::label(label, content)))
                .collect::<Map<_, _>>()
                .into(),
            Value::Object(_) | Value::Array(_) => match inside(show, top, name, content) {
                Some(show) => self.value(show, false, content),
                None => redacted(),
            },
            Value::Bool(_) | Value::Number(_)
                if allowed || show == Show::Listed && schema::is_measure(name) =>
            {
                content.clone()
            }
            Value::Null => Value::Null,
            Value::String(_) | Value::Bool(_) | Value::Number(_) => redacted(),
        }
    }
}

/// How much shows below a field; none if nothing does, not even names.
fn inside(show: Show, top: bool, name: &str, content: &Value) -> Option<Show> {
    // Of a list, which holds objects alone; `data` holds free keys in ConfigMaps and Secrets.
    let of_objects = || {
        content
            .as_array()
            .is_some_and(|all| all.iter().all(Value::is_object))
    };
    let items = top && matches!(name, "items" | "data") && of_objects();
    match show {
        _ if name == "metadata" => Some(Show::Identity),
        Show::Listed if items || schema::is_container(name) => Some(Show::Listed),
        Show::Identity if items => Some(Show::Identity),
        Show::Listed | Show::Identity => None,
    }
}

fn label(name: &str, content: &Value) -> Value {
    match content {
        Value::String(text) if schema::is_shown_label(name) => Value::String(pattern::clean(text)),
        _ => redacted(),
    }
}

/// A field's name; free keys may be anything.
fn key(name: &str) -> String {
    let plain = name.len() <= 256
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-/$".contains(&byte));
    if plain && pattern::clean(name) == name {
        name.to_owned()
    } else {
        REDACTED.to_owned()
    }
}

/// Headers: all names, values of those that are known to be harmless.
#[must_use]
pub fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter().map(|value| {
            let text = value.to_str().unwrap_or(REDACTED);
            match name.as_str() {
                "location" | "referer" => Value::String(uri(text)),
                known if schema::is_shown_header(known) => Value::String(pattern::clean(text)),
                _ => redacted(),
            }
        });
        shown.insert(name.as_str().to_owned(), values.collect());
    }
    shown
}

/// Path and query: no secret parameters, no token of an import manifest.
#[must_use]
pub fn uri(uri: &str) -> String {
    let (path, query) = uri
        .split_once('?')
        .map_or((uri, None), |(path, query)| (path, Some(query)));
    let mut shown = match path.split_once("/v3/import/") {
        Some((before, rest)) => {
            let rest = rest.rfind('_').map_or("", |at| &rest[at..]);
            format!("{before}/v3/import/{REDACTED}{}", pattern::clean(rest))
        }
        None => path
            .split('/')
            .map(pattern::clean)
            .collect::<Vec<_>>()
            .join("/"),
    };
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if schema::is_secret(name) || pattern::clean(value) != value {
                format!("{}={REDACTED}", key(name))
            } else {
                pair.to_owned()
            }
        });
        shown.push('?');
        shown.push_str(&pairs.collect::<Vec<_>>().join("&"));
    }
    shown
}

/// A name given at a login: people type passwords there.
#[must_use]
pub fn login_name(name: &str) -> String {
    pattern::clean(name)
}

#[cfg(test)]
mod tests;
