//! Where pods may run, as lists of short expressions (`zone = a`, `disk in (ssd, nvme)`, `!spot`).
//!
//! Expressions joined by `&&` hold together. One required term is shown as `requireAll`, several as `requireAny`.

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use crate::paths;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
/// What a preference weighs that was written here.
const WEIGHT: u32 = 100;

fn words(requirement: &Value) -> Option<String> {
    let key = requirement["key"].as_str()?;
    let values: Vec<&str> = requirement["values"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let one = || values.first().copied().filter(|_| values.len() == 1);
    match (requirement["operator"].as_str()?, values.len()) {
        ("In", 1) => Some(format!("{key} = {}", values[0])),
        ("In", 2..) => Some(format!("{key} in ({})", values.join(", "))),
        ("NotIn", 1) => Some(format!("{key} != {}", values[0])),
        ("NotIn", 2..) => Some(format!("{key} notin ({})", values.join(", "))),
        ("Exists", _) => Some(key.to_owned()),
        ("DoesNotExist", _) => Some(format!("!{key}")),
        ("Gt", _) => one().map(|value| format!("{key} > {value}")),
        ("Lt", _) => one().map(|value| format!("{key} < {value}")),
        _ => None,
    }
}

fn term_words(term: &Value) -> Vec<String> {
    let all = term["matchExpressions"].as_array();
    all.into_iter().flatten().filter_map(words).collect()
}

/// The field `scheduling.node` of a pod's specification.
pub(super) fn show(spec: &Value) -> Map<String, Value> {
    let mut node = Map::new();
    let affinity = &spec["affinity"]["nodeAffinity"];
    let mut terms: Vec<Vec<String>> = affinity[REQUIRED]["nodeSelectorTerms"]
        .as_array()
        .into_iter()
        .flatten()
        .map(term_words)
        .filter(|words| !words.is_empty())
        .collect();
    let selector = spec["nodeSelector"].as_object().into_iter().flatten();
    let of_selector: Vec<String> = selector
        .map(|(key, value)| match value.as_str().unwrap_or_default() {
            "" => key.clone(),
            value => format!("{key} = {value}"),
        })
        .collect();
    if terms.len() > 1 {
        let any: Vec<String> = terms.iter().map(|words| words.join(" && ")).collect();
        node.insert("requireAny".to_owned(), json!(any));
        terms.clear();
    }
    let all: Vec<String> = of_selector
        .into_iter()
        .chain(terms.into_iter().flatten())
        .collect();
    if !all.is_empty() {
        node.insert("requireAll".to_owned(), json!(all));
    }
    let mut preferred: Vec<&Value> = affinity[PREFERRED]
        .as_array()
        .into_iter()
        .flatten()
        .collect();
    preferred.sort_by_key(|term| std::cmp::Reverse(term["weight"].as_i64()));
    let preferred: Vec<String> = preferred
        .iter()
        .map(|term| term_words(&term["preference"]).join(" && "))
        .collect();
    if !preferred.is_empty() {
        node.insert("preferred".to_owned(), json!(preferred));
    }
    node
}

fn requirement(text: &str) -> Option<Value> {
    let text = text.trim();
    let list = |values: &str| -> Vec<String> {
        values
            .trim()
            .trim_start_matches('(')
            .trim_end_matches(')')
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect()
    };
    for (sign, operator) in [
        ("!=", "NotIn"),
        (" notin ", "NotIn"),
        (" in ", "In"),
        ("=", "In"),
        ("<", "Lt"),
        (">", "Gt"),
    ] {
        if let Some((key, values)) = text.split_once(sign) {
            let key = key.trim();
            return (!key.is_empty())
                .then(|| json!({"key": key, "operator": operator, "values": list(values)}));
        }
    }
    match text.strip_prefix('!') {
        Some(key) if !key.trim().is_empty() => {
            Some(json!({"key": key.trim(), "operator": "DoesNotExist"}))
        }
        None if !text.is_empty() => Some(json!({"key": text, "operator": "Exists"})),
        _ => None,
    }
}

fn term(text: &str) -> Result<Value, ApiError> {
    let all: Option<Vec<Value>> = text.split("&&").map(requirement).collect();
    let all = all.ok_or_else(|| {
        ApiError::invalid("InvalidFormat", format!("{text:?} is no expression"))
            .with_field("scheduling")
    })?;
    Ok(json!({ "matchExpressions": all }))
}

/// Writes `scheduling.node` into a pod's specification, if it differs from what is there.
///
/// # Errors
/// 422 for a text that is no expression.
pub(super) fn store(view: &Value, spec: &mut Value) -> Result<(), ApiError> {
    let empty = Map::new();
    let node = view["scheduling"]["node"].as_object().unwrap_or(&empty);
    if let Some(name) = node.get("nodeName").and_then(Value::as_str) {
        // Nodes are named `cluster:name` elsewhere in the API.
        spec["nodeName"] = json!(name.rsplit(':').next().unwrap_or(name));
    }
    let texts = |field: &str| -> Vec<&str> {
        let list = node.get(field).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    let mut rest = node.clone();
    rest.remove("nodeName");
    if rest == show(spec) {
        return Ok(());
    }
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("nodeSelector");
    }
    let mut terms = Vec::new();
    let all = texts("requireAll");
    if !all.is_empty() {
        terms.push(term(&all.join(" && "))?);
    }
    for any in texts("requireAny") {
        terms.push(term(any)?);
    }
    let preferred: Vec<Value> = texts("preferred")
        .into_iter()
        .map(|text| Ok(json!({"weight": WEIGHT, "preference": term(text)?})))
        .collect::<Result<_, ApiError>>()?;
    let mut affinity = Map::new();
    if !terms.is_empty() {
        affinity.insert(REQUIRED.to_owned(), json!({ "nodeSelectorTerms": terms }));
    }
    if !preferred.is_empty() {
        affinity.insert(PREFERRED.to_owned(), json!(preferred));
    }
    let affinity = if affinity.is_empty() {
        Value::Null
    } else {
        Value::Object(affinity)
    };
    paths::put(spec, "affinity/nodeAffinity", affinity);
    if spec["affinity"].as_object().is_some_and(Map::is_empty) {
        paths::put(spec, "affinity", Value::Null);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_and_written_back() {
        for text in [
            "zone = a",
            "zone != a",
            "disk in (nvme, ssd)",
            "disk notin (nvme, ssd)",
            "gpu",
            "!spot",
            "cores > 4",
            "cores < 4",
        ] {
            let term = term(text).unwrap();
            assert_eq!(term_words(&term), [text], "{term}");
        }
        assert!(term("").is_err() && term("a && ").is_err() && term("= b").is_err());
    }

    #[test]
    fn one_term_is_all_several_are_any() {
        let check = |node: Value, terms: usize| {
            let mut spec = json!({});
            store(&json!({"scheduling": {"node": node}}), &mut spec).unwrap();
            let written = &spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"];
            assert_eq!(written.as_array().map_or(0, Vec::len), terms, "{spec}");
            assert_eq!(Value::Object(show(&spec)), node);
        };
        check(json!({"requireAll": ["a = b", "c"]}), 1);
        check(json!({"requireAny": ["a = b && c", "d"]}), 2);
        check(json!({"preferred": ["a = b"]}), 0);
        check(json!({}), 0);
    }

    #[test]
    fn a_selector_of_nodes_stays_when_nothing_else_is_said() {
        let mut spec = json!({"nodeSelector": {"a": "b"}});
        let view = json!({"scheduling": {"node": show(&spec)}});
        assert_eq!(view["scheduling"]["node"]["requireAll"], json!(["a = b"]));
        store(&view, &mut spec).unwrap();
        assert_eq!(spec, json!({"nodeSelector": {"a": "b"}}));
    }
}
