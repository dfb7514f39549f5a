//! Recorded resources, made again from the objects behind them.
//!
//! `data/resources.json` holds resources as recorded (texts for people
//! replaced) and the Kubernetes objects they must come from, worked out apart
//! from our code. Each object is put into the store and asked for; the answer
//! must be equal, save for what stands in `differences`.

#[cfg(test)]
mod common;

use std::collections::BTreeMap;

use base64::Engine as _;
use common::{MANAGEMENT, World};
use serde_json::{Value, json};

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    object: Value,
    resource: Value,
}

/// Where an answer differs from the recording on purpose, and why: (type, JSON pointer, reason).
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "node",
        "/actions",
        "nodes are not yet cordoned and drained from here, so it is not offered",
    ),
    (
        "project",
        "/actions",
        "the peer's action on projects writes compose files nobody reads; not served, so not offered",
    ),
    (
        "token",
        "/userPrincipal",
        "the peer prints a Go map where its schema says a reference",
    ),
    (
        "token",
        "/links/update",
        "tokens cannot be changed, so no link says so",
    ),
    (
        "roleTemplate",
        "/links/remove",
        "built-in roles cannot be removed",
    ),
    (
        "setting",
        "/links/remove",
        "built-in settings cannot be removed",
    ),
    ("feature", "/links/remove", "features cannot be removed"),
];

/// Below projects and clusters only what answers is linked; the types inside them come later.
fn is_later(kind: &str, pointer: &str) -> bool {
    kind == "project"
        && pointer.starts_with("/links/")
        && ![
            "self",
            "update",
            "remove",
            "subscribe",
            "projectRoleTemplateBindings",
        ]
        .contains(&&pointer[7..])
}

fn differences(pointer: &str, ours: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> =
                one.keys().chain(other.keys()).collect();
            for key in keys {
                let below = format!("{pointer}/{key}");
                match (one.get(key), other.get(key)) {
                    (Some(one), Some(other)) => differences(&below, one, other, found),
                    (one, other) => found.push(format!("{below}: {one:?}, recorded {other:?}")),
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(&format!("{pointer}/{index}"), one, other, found);
            }
        }
        (one, other) if one == other => {}
        (one, other) => found.push(format!("{pointer}: {one}, recorded {other}")),
    }
}

#[tokio::test]
async fn objects_are_shown_as_recorded() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("data/resources.json")).unwrap();
    let plurals: BTreeMap<&str, &str> = [
        ("globalRole", "globalRoles"),
        ("clusterRegistrationToken", "clusterRegistrationTokens"),
    ]
    .into();
    let mut complaints = Vec::new();
    for case in cases {
        let world = World::new();
        let plural = plurals
            .get(case.kind.as_str())
            .map_or_else(|| format!("{}s", case.kind), |plural| (*plural).to_owned());
        let name = case.object["metadata"]["name"].as_str().unwrap();
        let path = match case.object["metadata"]["namespace"].as_str() {
            Some(namespace) => format!(
                "{MANAGEMENT}/namespaces/{namespace}/{}/{name}",
                plural.to_lowercase()
            ),
            None => format!("{MANAGEMENT}/{}/{name}", plural.to_lowercase()),
        };
        world.store.put(&path, case.object.clone());
        let token = base64::engine::general_purpose::STANDARD.encode("<registration-token>");
        world.store.put(
            "/api/v1/namespaces/c-skw55/secrets/crt-token-default-token",
            json!({"data": {"token": token}}),
        );

        let answer = world
            .get(&format!(
                "/v3/{plural}/{}",
                case.resource["id"].as_str().unwrap()
            ))
            .await;
        assert_eq!(answer.status, 200, "{}: {}", case.name, answer.json());
        let mut found = Vec::new();
        differences("", &answer.json(), &case.resource, &mut found);
        found.retain(|complaint| {
            let pointer = complaint.split(':').next().unwrap();
            !is_later(&case.kind, pointer)
                && !DIFFERENCES.iter().any(|(kind, known, _)| {
                    *kind == case.kind && complaint.starts_with(&format!("{known}:"))
                })
        });
        complaints.extend(
            found
                .into_iter()
                .map(|complaint| format!("{}: {complaint}", case.name)),
        );
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
