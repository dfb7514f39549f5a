//! Replays what a real kube-apiserver (1.36.3) did to objects of a custom resource.
//!
//! `data/ssa.jsonl` holds one request a line: the object before, the manager, what it sent, and what came back. The
//! custom resource has the schema in `data/ssa-schema.json`, with the status subresource.

use std::path::Path;

use drover_structural::field_set::FieldSet;
use drover_structural::managed_fields::{self, ApplyError, Request};
use drover_structural::{Schema, default, merge_patch, validate};
use serde_json::{Value, json};

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read_to_string(path).expect("recorded data")
}

/// The time at which the server wrote: that of the manager's entry.
fn written(after: &Value) -> jiff::Timestamp {
    after["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["time"].as_str()?.parse().ok())
        .max()
        .unwrap_or_default()
}

/// Without what the storage sets.
fn comparable(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().expect("metadata");
    for name in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(name);
    }
    object
}

#[test]
fn ownership_is_what_a_real_server_makes_it() {
    let schema =
        Schema::from_crd(&serde_json::from_str(&read("ssa-schema.json")).unwrap()).unwrap();
    let not_status = FieldSet::of_fields(&[&["status"]]);
    let only_status = FieldSet::of_fields(&[&["spec"], &["metadata"]]);
    let mut failures = Vec::new();
    let records = read("ssa.jsonl");
    for (line, record) in records.lines().enumerate() {
        let record: Value = serde_json::from_str(record).unwrap();
        let op = record["op"].as_str().unwrap();
        let live = Some(&record["before"]).filter(|live| !live.is_null());
        let request = Request {
            schema: &schema,
            api_version: "rec.example.com/v1",
            subresource: if op == "status" { "status" } else { "" },
            manager: record["manager"].as_str().unwrap(),
            reset: Some(if op == "status" {
                &only_status
            } else {
                &not_status
            }),
            blank: None,
            versions: None,
            now: written(&record["after"]),
        };
        let outcome: Result<Value, ApplyError> = match op {
            "apply" | "force" => {
                managed_fields::apply(live, &record["object"], &request, op == "force").map(
                    |applied| {
                        let mut object = applied.object;
                        default::drop_nulls(&mut object, &Schema::any());
                        default::default(&mut object, &schema);
                        object
                    },
                )
            }
            _ => {
                let mut new = match op {
                    "merge" => {
                        let mut new = live.unwrap().clone();
                        merge_patch::apply(&mut new, &record["object"]);
                        new
                    }
                    "status" => {
                        let mut new = live.unwrap().clone();
                        new["status"] = record["object"]["status"].clone();
                        new
                    }
                    _ => record["object"].clone(),
                };
                default::drop_nulls(&mut new, &schema);
                default::default(&mut new, &schema);
                managed_fields::update(live, &mut new, &request);
                Ok(new)
            }
        };
        let expected = &record["after"];
        let code = record["code"].as_u64().unwrap();
        let mut fail = |what: &str, actual: String, expected: String| {
            failures.push(format!(
                "line {line} {op} {what}\n  actual   {actual}\n  expected {expected}"
            ));
        };
        match (&outcome, code) {
            (Ok(object), 200 | 201) => {
                let (actual, expected) = (comparable(object), comparable(expected));
                if actual != expected {
                    fail("object", actual.to_string(), expected.to_string());
                }
                let errors = validate::create(object, &schema);
                if !errors.is_empty() {
                    fail("validation", format!("{errors:?}"), String::new());
                }
            }
            (Ok(object), 422) => {
                let errors = validate::create(object, &schema);
                let causes: Vec<Value> = errors
                    .iter()
                    .map(|error| json!({"reason": error.kind.reason(), "message": error.body(), "field": error.field}))
                    .collect();
                if json!(causes) != expected["details"]["causes"] {
                    fail(
                        "causes",
                        json!(causes).to_string(),
                        expected["details"]["causes"].to_string(),
                    );
                }
            }
            (Err(error), 409) => {
                if expected["message"] != error.to_string() {
                    fail(
                        "message",
                        error.to_string(),
                        expected["message"].to_string(),
                    );
                }
            }
            (outcome, code) => fail(
                "outcome",
                format!("{outcome:?}"),
                format!("{code} {expected}"),
            ),
        }
    }
    assert!(
        failures.is_empty(),
        "{} differ:\n{}",
        failures.len(),
        failures[..failures.len().min(6)].join("\n")
    );
}
