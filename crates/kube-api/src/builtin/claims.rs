//! Where the first content of a PersistentVolumeClaim comes from: said in two members, of which the second came later
//! and can say more (kubernetes `pkg/api/persistentvolumeclaim/util.go`, v1.36).

use serde_json::{Map, Value, json};

const FIRST: &str = "dataSource";
const SECOND: &str = "dataSourceRef";

/// Whether the first member may name something of this kind; others are dropped, as they always were.
fn is_old_kind(source: &Value) -> bool {
    let part = |name: &str| source[name].as_str().unwrap_or_default();
    matches!(
        (part("apiGroup"), part("kind")),
        ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
    )
}

fn is_set(spec: &Map<String, Value>, member: &str) -> bool {
    spec.get(member).is_some_and(|value| !value.is_null())
}

fn namespace(source: &Value) -> &str {
    source["namespace"].as_str().unwrap_or_default()
}

/// Drops what was never taken, and makes both members say the same.
pub(super) fn prepare(claim: &mut Value, old: Option<&Value>) {
    let before = old.and_then(|old| old["spec"].as_object());
    let used = |member: &str| before.is_some_and(|spec| is_set(spec, member));
    let Some(spec) = claim.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    // Contents of other namespaces are not given by default.
    if spec
        .get(SECOND)
        .is_some_and(|source| !namespace(source).is_empty())
        && !used(SECOND)
    {
        spec.remove(SECOND);
    }
    let replaceable = !used(FIRST) && !used(SECOND) && !is_set(spec, SECOND);
    if replaceable && !spec.get(FIRST).is_some_and(is_old_kind) {
        spec.remove(FIRST);
    }
    let copied = |source: &Value| {
        let mut copy = Map::new();
        for part in ["apiGroup", "kind", "name"] {
            if let Some(value) = source.get(part) {
                copy.insert(part.to_owned(), value.clone());
            }
        }
        json!(copy)
    };
    match (is_set(spec, FIRST), is_set(spec, SECOND)) {
        (true, false) => {
            let copy = spec.get(FIRST).map(copied);
            spec.extend(copy.map(|copy| (SECOND.to_owned(), copy)));
        }
        (false, true) => {
            let source = spec.get(SECOND);
            let copy = source
                .filter(|source| namespace(source).is_empty())
                .map(copied);
            spec.extend(copy.map(|copy| (FIRST.to_owned(), copy)));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_members_say_the_same() {
        let check = |spec: Value, expected: &Value| {
            let mut claim = json!({ "spec": spec });
            prepare(&mut claim, None);
            assert_eq!(&claim["spec"], expected);
        };
        let claim = json!({"kind": "PersistentVolumeClaim", "name": "a"});
        check(
            json!({"dataSource": claim}),
            &json!({"dataSource": claim, "dataSourceRef": claim}),
        );
        check(
            json!({"dataSourceRef": {"kind": "Other", "name": "a"}}),
            &json!({"dataSource": {"kind": "Other", "name": "a"}, "dataSourceRef": {"kind": "Other", "name": "a"}}),
        );
        check(
            json!({"dataSource": {"kind": "Other", "name": "a"}}),
            &json!({}),
        );
        check(
            json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "a", "namespace": "n"}}),
            &json!({}),
        );
    }
}
