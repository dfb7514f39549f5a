use super::*;

#[derive(Default)]
struct Seen(Vec<String>);

impl Observer<u8> for Seen {
    fn changed(&mut self, key: &str, before: Option<&Arc<u8>>, after: Option<&Arc<u8>>) {
        self.0.push(format!(
            "{key} {:?} {:?}",
            before.map(|value| **value),
            after.map(|value| **value)
        ));
    }
}

#[test]
fn a_buried_object_stays_away_until_its_deletion_is_seen() {
    let mirror = Mirror::new();
    let mut seen = Seen::default();
    mirror.put("a", "1", Some(1), &mut seen);
    assert!(mirror.bury("a", "1"));
    mirror.put("a", "1", Some(2), &mut seen);
    assert_eq!(mirror.get("a"), None);
    let listed = |uid: &str| {
        HashMap::from([(
            "a".to_owned(),
            Entry {
                uid: uid.to_owned(),
                value: Arc::new(3),
            },
        )])
    };
    mirror.replace(listed("1"), &mut seen);
    assert_eq!(
        mirror.get("a"),
        None,
        "a list may be older than the deletion"
    );
    mirror.put("a", "2", Some(4), &mut seen);
    assert_eq!(
        mirror.get("a").as_deref(),
        Some(&4),
        "another object of that name is another object"
    );
    mirror.remove("a", "1", &mut seen);
    assert_eq!(mirror.get("a").as_deref(), Some(&4));
    assert!(!mirror.is_buried("1"));
    assert_eq!(seen.0, ["a None Some(1)", "a None Some(4)"]);
}

#[test]
fn a_new_list_tells_only_differences() {
    let mirror = Mirror::new();
    let mut seen = Seen::default();
    mirror.put("a", "1", Some(1), &mut seen);
    mirror.put("b", "2", Some(2), &mut seen);
    mirror.put("c", "3", Some(3), &mut seen);
    seen.0.clear();
    let entry = |uid: &str, value| Entry {
        uid: uid.to_owned(),
        value: Arc::new(value),
    };
    mirror.replace(
        HashMap::from([
            ("a".to_owned(), entry("1", 1)),
            ("b".to_owned(), entry("2", 5)),
        ]),
        &mut seen,
    );
    seen.0.sort();
    assert_eq!(seen.0, ["b Some(2) Some(5)", "c Some(3) None"]);
}

#[test]
fn what_cannot_be_understood_keeps_its_name() {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::{ObjectList, WatchEvent};

    let text = r#"{"apiVersion": "v1", "kind": "ConfigMapList", "metadata": {"resourceVersion": "7"}, "items": [
        {"metadata": {"name": "a", "namespace": "n", "uid": "1", "managedFields": [{"fieldsV1": {"f:data": {}}}]}, "data": {"k": "v"}},
        {"metadata": {"name": "b", "deletionTimestamp": "2026-11-20T21:22:00Z"}, "data": 5}]}"#;
    let list: ObjectList<Incoming<ConfigMap>> = serde_json::from_str(text).unwrap();
    let [whole, broken] = list.items.try_into().unwrap();
    assert_eq!(whole.namespace().as_deref(), Some("n"));
    assert_eq!(whole.object.unwrap().data.unwrap()["k"], "v");
    assert_eq!(broken.name_any(), "b");
    assert!(broken.meta().deletion_timestamp.is_some());
    assert!(broken.object.unwrap_err().contains("expected a map"));
    // Kubernetes writes the type of an event first, and so it is read as it comes.
    let text = r#"{"type": "ADDED", "object": {"metadata": {"name": "a"}, "data": {"k": "v"}}}"#;
    let event: WatchEvent<Incoming<ConfigMap>> = serde_json::from_str(text).unwrap();
    assert!(matches!(event, WatchEvent::Added(added) if added.object.is_ok()));
}
