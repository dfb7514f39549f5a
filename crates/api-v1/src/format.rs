//! An object of Kubernetes as the API shows it.
//!
//! Pure. Owns what is added (`id`, `type`, `links`, cells, state,
//! relationships) and how it is taken off again before a write (reference
//! section 1.3).

use drover_api::summary::{Fresh, Summary, summarize};
use drover_types::management::GROUP;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::cells::Cell;
use crate::kind::{Kind, object_id};
use crate::relate;
use crate::urls::Urls;

/// Fields of an object that would clash with ours go by another name.
const CLASHING: [&str; 4] = ["id", "type", "links", "actions"];
/// What is added to `metadata`.
const ADDED: [&str; 4] = ["fields", "relationships", "state", "associatedData"];

/// Which links of an object its reader gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    pub(crate) update: bool,
    pub(crate) patch: bool,
    pub(crate) remove: bool,
}

pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(crate) fn namespace(object: &Value) -> Option<&str> {
    object
        .pointer("/metadata/namespace")
        .and_then(Value::as_str)
}

/// The time an object was made.
pub(crate) fn created(object: &Value) -> Option<Timestamp> {
    text(object, "/metadata/creationTimestamp").parse().ok()
}

/// State of an object.
pub(crate) fn state(object: &Value, now: Timestamp) -> Summary {
    summarize(object, now, Fresh::Active)
}

/// Whether a cluster is ready, which is what the peer calls connected.
pub(crate) fn is_connected(object: &Value) -> bool {
    object
        .pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|condition| {
            text(condition, "/type") == "Ready" && text(condition, "/status") == "True"
        })
}

/// A quantity of Kubernetes as a number.
pub(crate) fn quantity(value: Option<&Value>) -> Option<f64> {
    let text = match value? {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    const UNITS: [(&str, f64); 14] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    UNITS
        .iter()
        .find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
        .or_else(|| text.parse().ok())
}

/// The object as it is shown.
pub(crate) fn resource(
    kind: &Kind,
    object: Value,
    cells: &[Cell],
    urls: &Urls,
    allowed: Allowed,
    now: Timestamp,
) -> Map<String, Value> {
    let summary = state(&object, now);
    let relationships = relate::relationships(kind, &object);
    let name = name(&object).to_owned();
    let namespace = namespace(&object).map(str::to_owned);
    let Value::Object(mut fields) = object else {
        return Map::new();
    };
    for clash in CLASHING {
        if let Some(value) = fields.remove(clash) {
            fields.insert(format!("_{clash}"), value);
        }
    }
    let id = object_id(namespace.as_deref(), &name);
    fields.insert("type".to_owned(), json!(kind.id));
    fields.insert(
        "links".to_owned(),
        links(kind, urls, namespace.as_deref(), &name, &id, allowed),
    );
    fields.insert("id".to_owned(), json!(id));
    if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
        let shown: Vec<Value> = cells.iter().map(|cell| cell.shown(now)).collect();
        metadata.insert(
            "fields".to_owned(),
            if shown.is_empty() {
                Value::Null
            } else {
                json!(shown)
            },
        );
        metadata.insert(
            "state".to_owned(),
            json!({
                "name": summary.state, "error": summary.error,
                "transitioning": summary.transitioning, "message": summary.message(),
            }),
        );
        metadata.insert("relationships".to_owned(), relationships);
    }
    conditions(&mut fields);
    if kind.group == GROUP {
        management(kind, &mut fields, urls, &id);
    }
    fields
}

fn links(
    kind: &Kind,
    urls: &Urls,
    namespace: Option<&str>,
    name: &str,
    id: &str,
    allowed: Allowed,
) -> Value {
    let own = urls.object(kind, id);
    let mut links = Map::new();
    let change = |method: &str| {
        if is_blocked(kind, method) {
            json!("blocked")
        } else {
            json!(own)
        }
    };
    links.insert("self".to_owned(), json!(own));
    for (link, method, given) in [
        ("update", "PUT", allowed.update),
        ("patch", "PATCH", allowed.patch),
        ("remove", "DELETE", allowed.remove),
    ] {
        if given {
            links.insert(link.to_owned(), change(method));
        }
    }
    let view = if kind.group == GROUP {
        own
    } else {
        urls.native(&kind.path(namespace, Some(name)))
    };
    links.insert("view".to_owned(), json!(view));
    Value::Object(links)
}

/// Conditions say whether they are an error or under way.
fn conditions(fields: &mut Map<String, Value>) {
    let conditions = fields
        .get_mut("status")
        .and_then(|status| status.get_mut("conditions"))
        .and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let alone = json!({"status": {"conditions": [condition.clone()]}});
        let summary = summarize(&alone, Timestamp::UNIX_EPOCH, Fresh::Active);
        let Value::Object(condition) = condition else {
            continue;
        };
        condition.insert("error".to_owned(), json!(summary.error));
        condition.insert("transitioning".to_owned(), json!(summary.transitioning));
        if condition.get("lastUpdateTime").is_none_or(Value::is_null)
            && let Some(at) = condition.get("lastTransitionTime").cloned()
        {
            condition.insert("lastUpdateTime".to_owned(), at);
        }
    }
}

/// What the peer adds to its own kinds (recorded/http/06, clusters and settings).
fn management(kind: &Kind, fields: &mut Map<String, Value>, urls: &Urls, id: &str) {
    match kind.kind.as_str() {
        "Cluster" => cluster(kind, fields, urls, id),
        "Setting" => {
            let is_empty = fields
                .get("value")
                .and_then(Value::as_str)
                .is_none_or(str::is_empty);
            if is_empty && let Some(default) = fields.get("default").cloned() {
                fields.insert("value".to_owned(), default);
            }
            let fixed =
                id == "cacerts" || fields.get("source").and_then(Value::as_str) == Some("env");
            if fixed && let Some(Value::Object(links)) = fields.get_mut("links") {
                links.remove("update");
            }
        }
        _ => {}
    }
}

fn cluster(kind: &Kind, fields: &mut Map<String, Value>, urls: &Urls, id: &str) {
    let own = urls.object(kind, id);
    let norman = urls.norman(&format!("/v3/clusters/{}", drover_api::urls::segment(id)));
    fields.insert(
        "actions".to_owned(),
        json!({
            "apply": format!("{own}?action=apply"),
            "generateKubeconfig": format!("{norman}?action=generateKubeconfig"),
            "importYaml": format!("{norman}?action=importYaml"),
        }),
    );
    if let Some(Value::Object(links)) = fields.get_mut("links") {
        for link in ["log", "projects", "schemas", "subscribe"] {
            links.insert(link.to_owned(), json!(format!("{own}?link={link}")));
        }
        let shell = drover_api::urls::websocket(&format!("{norman}?shell=true"));
        links.insert("shell".to_owned(), json!(shell));
    }
    let whole = Value::Object(fields.clone());
    let connected = is_connected(&whole);
    if let Some(Value::Object(status)) = fields.get_mut("status") {
        status.insert("connected".to_owned(), json!(connected));
        for part in ["allocatable", "requested"] {
            if let Some(Value::Object(amounts)) = status.get_mut(part) {
                for of in ["cpu", "memory"] {
                    if let Some(raw) = quantity(amounts.get(of)) {
                        amounts.insert(format!("{of}Raw"), number(raw));
                    }
                }
            }
        }
    }
}

/// Whole numbers without a fraction.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and in range, as just checked"
        )]
        return json!(value as i64);
    }
    json!(value)
}

/// Whether the peer lets nobody do this over `/v1`, whatever the rights (reference section 1.2, "Blocked").
pub(crate) fn is_blocked(kind: &Kind, method: &str) -> bool {
    if !matches!(kind.group.as_str(), GROUP | "project.cattle.io") {
        return false;
    }
    if method == "GET" {
        return crate::rights::is_withheld(kind);
    }
    match kind.resource.as_str() {
        "clusterproxyconfigs"
        | "clusterroletemplatebindings"
        | "globalrolebindings"
        | "globalroles"
        | "podsecurityadmissionconfigurationtemplates"
        | "projects"
        | "projectroletemplatebindings"
        | "proxyendpoints"
        | "oidcclients"
        | "users" => false,
        "settings" => !matches!(method, "POST" | "PUT"),
        "features" => method != "PUT",
        _ => true,
    }
}

/// Takes off what [`resource`] adds: the object as it is sent to the cluster.
pub(crate) fn stripped(mut fields: Map<String, Value>) -> Map<String, Value> {
    for clash in CLASHING {
        fields.remove(clash);
        if let Some(value) = fields.remove(&format!("_{clash}")) {
            // Cached answers of the peer carry `_id` as well; no object has such a field.
            if clash != "id" {
                fields.insert(clash.to_owned(), value);
            }
        }
    }
    if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
        for added in ADDED {
            metadata.remove(added);
        }
    }
    let conditions = fields
        .get_mut("status")
        .and_then(|status| status.get_mut("conditions"))
        .and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if let Value::Object(condition) = condition {
            condition.remove("error");
            condition.remove("transitioning");
            if condition.get("lastUpdateTime") == condition.get("lastTransitionTime") {
                condition.remove("lastUpdateTime");
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests;
