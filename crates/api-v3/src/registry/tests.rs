//! The declarations against the recorded ones.
//!
//! `tests/data/schemas.json` holds, for every recorded type that we serve and
//! all they refer to, names, types and flags in the notation of declarations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

const RECORDED: &str = include_str!("../../tests/data/schemas.json");

/// What differs from the recording on purpose, and why.
const DIFFERENCES: &[(&str, &str)] = &[];

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Shape {
    plural: String,
    fields: BTreeMap<String, String>,
    collection_methods: String,
    resource_methods: String,
    resource_actions: BTreeMap<String, String>,
    collection_actions: BTreeMap<String, String>,
    collection_filters: BTreeMap<String, String>,
}

fn words(value: &Value) -> String {
    let list = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    list.collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(" ")
}

/// A served field in the notation of the recording, which leaves out defaults that follow from the type.
fn notation(field: &Value) -> String {
    let kind = field["type"].as_str().unwrap();
    let is = |name: &str| field.get(name) == Some(&Value::Bool(true));
    let flags: String = [
        ("create", 'c'),
        ("update", 'u'),
        ("required", 'r'),
        ("nullable", 'n'),
        ("writeOnly", 'w'),
    ]
    .into_iter()
    .filter(|(name, _)| is(name))
    .map(|(_, flag)| flag)
    .collect();
    let mut text = kind.to_owned();
    if !flags.is_empty() {
        text = format!("{text} {flags}");
    }
    if let Some(default) = field
        .get("default")
        .filter(|default| **default != false && **default != 0)
    {
        text += &format!(
            " default={}",
            default
                .as_str()
                .map_or_else(|| default.to_string(), str::to_owned)
        );
    }
    for limit in ["max", "min"] {
        if let Some(limit_value) = field.get(limit) {
            text += &format!(" {limit}={limit_value}");
        }
    }
    if is("pointer") {
        text += " pointer";
    }
    if let Some(options) = field.get("options").and_then(Value::as_array) {
        let options: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
        text += &format!(" options={}", options.join("|"));
    }
    text
}

fn served(kind: &Type) -> Shape {
    let document = Registry::document(
        kind,
        &Urls::new("https://h".to_owned(), "/", Vec::new()),
        None,
    );
    let map = |name: &str, write: &dyn Fn(&Value) -> String| -> BTreeMap<String, String> {
        document
            .get(name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), write(value)))
            .collect()
    };
    let action = |value: &Value| -> String {
        let parts = value
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, part)| format!("{key}={}", part.as_str().unwrap()));
        parts.collect::<Vec<_>>().join(" ")
    };
    Shape {
        plural: document["pluralName"].as_str().unwrap().to_owned(),
        fields: map("resourceFields", &notation),
        collection_methods: words(&document["collectionMethods"]),
        resource_methods: words(&document["resourceMethods"]),
        resource_actions: map("resourceActions", &action),
        collection_actions: map("collectionActions", &action),
        collection_filters: map("collectionFilters", &|filter| {
            let modifiers = filter["modifiers"].as_array().unwrap();
            modifiers
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        }),
    }
}

fn differences(id: &str, ours: &Shape, theirs: &Shape) -> Vec<String> {
    let mut found = Vec::new();
    for (what, one, other) in [
        ("plural", &ours.plural, &theirs.plural),
        (
            "collectionMethods",
            &ours.collection_methods,
            &theirs.collection_methods,
        ),
        (
            "resourceMethods",
            &ours.resource_methods,
            &theirs.resource_methods,
        ),
    ] {
        if one != other {
            found.push(format!("{id} {what}: {one:?}, recorded {other:?}"));
        }
    }
    for (what, one, other) in [
        ("fields", &ours.fields, &theirs.fields),
        (
            "resourceActions",
            &ours.resource_actions,
            &theirs.resource_actions,
        ),
        (
            "collectionActions",
            &ours.collection_actions,
            &theirs.collection_actions,
        ),
        (
            "collectionFilters",
            &ours.collection_filters,
            &theirs.collection_filters,
        ),
    ] {
        for name in one.keys().chain(other.keys()).collect::<BTreeSet<_>>() {
            if one.get(name) != other.get(name) {
                found.push(format!(
                    "{id} {what} {name}: {:?}, recorded {:?}",
                    one.get(name),
                    other.get(name)
                ));
            }
        }
    }
    found
}

#[test]
fn every_type_is_declared_as_recorded() {
    let recorded: BTreeMap<String, Shape> = serde_json::from_str(RECORDED).unwrap();
    let registry = Registry::new();
    let mut found = Vec::new();
    for (id, theirs) in &recorded {
        match registry.get(id) {
            None => found.push(format!("{id}: not declared")),
            Some(kind) => found.extend(differences(id, &served(kind), theirs)),
        }
    }
    found.retain(|difference| !DIFFERENCES.iter().any(|(known, _)| known == difference));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_nested_type_is_declared() {
    let registry = Registry::new();
    // Outputs that have no fields of their own, and types of actions the peer names but does not declare either.
    let undeclared = ["collection", "saveAsTemplateInput", "saveAsTemplateOutput"];
    for kind in &registry.types {
        for field in &kind.fields {
            let text = field.kind.to_string();
            let inner = text.rsplit('[').next().unwrap().trim_end_matches(']');
            let is_reference = text.contains("reference[");
            let is_simple = "string int float boolean date enum password dnsLabel dnsLabelRestricted hostname intOrString base64 json"
                .split(' ')
                .any(|simple| simple == inner);
            assert!(
                is_reference || is_simple || registry.get(inner).is_some(),
                "{} {}: {inner}",
                kind.id,
                field.name
            );
        }
        for action in kind.actions.iter().chain(&kind.collection_actions) {
            for part in [action.input, action.output].into_iter().flatten() {
                assert!(
                    undeclared.contains(&part) || registry.get(part).is_some(),
                    "{} {}: {part}",
                    kind.id,
                    action.name
                );
            }
        }
    }
}
