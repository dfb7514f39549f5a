//! What is sent wrong, in every field that can be written of every type.
//!
//! Fields come from the schemas, requests from the table of routes; writes are dry runs. An answer may take what was
//! sent, or refuse it and name the field; it is never a failure of the server.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use crate::routes::Route;
use crate::world::World;

/// The fields of types, by the types' ids: name and type of those that can be written.
pub(crate) type Fields = BTreeMap<String, Vec<(String, String)>>;

/// Codes of refusals that are about the whole request.
const WHOLE: [&str; 3] = ["InvalidAction", "InvalidType", "InvalidState"];

/// Values that fit few fields, or none.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!(" Not / a\u{0}näme: "),
        json!("x".repeat(70_000)),
        json!([]),
        json!([null, {}]),
        json!({}),
        json!({"x": {"y": [1]}}),
    ]
}

/// What the schemas say can be written.
pub(crate) async fn fields(world: &World) -> Fields {
    let mut all = Fields::new();
    for at in ["/v3/schemas", "/v3/cluster/schemas", "/v3/project/schemas"] {
        let (_, schemas) = world.send("g-admin", "GET", at, &Value::Null).await;
        for schema in schemas["data"].as_array().unwrap() {
            let fields = schema["resourceFields"].as_object().into_iter().flatten();
            let written =
                fields.filter(|(_, field)| field["create"] == true || field["update"] == true);
            let named =
                written.map(|(name, field)| (name.clone(), field["type"].as_str().unwrap().into()));
            all.insert(
                schema["id"].as_str().unwrap().to_owned(),
                named.collect::<Vec<_>>(),
            );
        }
    }
    all
}

/// Bodies that are wrong in one place, each with the field at the top that it is in.
fn bodies(body: &Value, kind: &str, fields: &Fields) -> Vec<(String, Value)> {
    let mut bodies = Vec::new();
    let with = |field: &str, value: Value| {
        let mut body = body.clone();
        body[field] = value;
        (field.to_owned(), body)
    };
    for (field, of) in fields.get(kind).into_iter().flatten() {
        bodies.extend(values().into_iter().map(|value| with(field, value)));
        let mut without = body.clone();
        if without.as_object_mut().unwrap().remove(field).is_some() {
            bodies.push((field.clone(), without));
        }
        // What is inside, as far as it has fields of its own.
        let inner = of.rsplit('[').next().unwrap().trim_end_matches(']');
        for (inside, _) in fields.get(inner).into_iter().flatten() {
            for value in [json!(true), json!("Ü / \u{0}"), json!([{}])] {
                let part = Value::Object(Map::from_iter([(inside.clone(), value)]));
                let value = match of.split('[').next().unwrap() {
                    "array" => json!([part]),
                    "map" => json!({ "a": part }),
                    _ => part,
                };
                bodies.push(with(field, value));
            }
        }
    }
    bodies
}

/// The type whose fields a request has.
fn sent_type(route: &Route, inputs: &BTreeMap<(String, String), String>) -> Option<String> {
    match route.what {
        "create" | "update" => Some(route.kind.to_owned()),
        _ => inputs
            .get(&(route.kind.to_owned(), route.what.to_owned()))
            .cloned(),
    }
}

/// The types of what actions take.
async fn inputs(world: &World) -> BTreeMap<(String, String), String> {
    let mut inputs = BTreeMap::new();
    for at in ["/v3/schemas", "/v3/cluster/schemas", "/v3/project/schemas"] {
        let (_, schemas) = world.send("g-admin", "GET", at, &Value::Null).await;
        for schema in schemas["data"].as_array().unwrap() {
            for actions in ["resourceActions", "collectionActions"] {
                for (action, shape) in schema[actions].as_object().into_iter().flatten() {
                    if let Some(input) = shape["input"].as_str() {
                        let id = schema["id"].as_str().unwrap().to_owned();
                        inputs.insert((id, action.clone()), input.to_owned());
                    }
                }
            }
        }
    }
    inputs
}

/// What is wrong with an answer to something wrong in `sent`.
fn fault(status: u16, answer: &Value, sent: &str) -> Option<String> {
    if status >= 500 {
        return Some(format!("{status}: {}", answer["message"]));
    }
    let field = answer["fieldName"].as_str().unwrap_or_default();
    let code = answer["code"].as_str().unwrap_or_default();
    // The peer's words for passwords and subjects of bindings name the fields themselves.
    let said = answer["message"].as_str().unwrap_or_default();
    let said = said.to_lowercase();
    let in_words = [sent, "password", "field ["]
        .iter()
        .any(|name| said.contains(name));
    let named = !field.is_empty() || in_words;
    if status == 422 && !named && !WHOLE.contains(&code) {
        return Some(format!("names no field: {code} {}", answer["message"]));
    }
    if status >= 400 && answer["type"] != "error" {
        return Some(format!("{status} in another form: {answer}"));
    }
    None
}

/// Sends everything; says what was answered wrongly.
pub(crate) async fn send_all(world: &World, routes: &[Route]) -> Vec<String> {
    let (fields, inputs) = (fields(world).await, inputs(world).await);
    let mut known = BTreeSet::new();
    let mut requests = Vec::new();
    for route in routes.iter().filter(|route| route.body.is_object()) {
        // The first of each kind is as good as the others, and its project is whole.
        let Some(kind) = sent_type(route, &inputs) else {
            continue;
        };
        if known.insert((route.kind, route.what)) {
            let bodies = bodies(&route.body, &kind, &fields);
            requests.extend(bodies.into_iter().map(|(field, body)| (route, field, body)));
        }
    }
    assert!(requests.len() > 5_000, "{} requests", requests.len());
    let answers = stream::iter(requests)
        .map(|(route, field, body)| async move {
            let url = route.url.replace("{user}", "g-admin");
            let (status, answer) = world.send("g-admin", route.method, &url, &body).await;
            fault(status, &answer, &field).map(|fault| {
                let mut sent = body[&field].to_string();
                sent.truncate(sent.floor_char_boundary(80));
                format!("{} {} {field}={sent}: {fault}", route.kind, route.what)
            })
        })
        .buffer_unordered(8);
    let mut wrong: Vec<String> = answers.filter_map(std::future::ready).collect().await;
    wrong.sort();
    wrong
}
