//! Objects as they are shown, and back.

use super::*;

fn urls() -> Urls {
    Urls::new("https://server.example:8443".to_owned(), "c-1")
}

fn shown(kind: &Kind, object: Value) -> Value {
    let all = Allowed {
        update: true,
        patch: true,
        remove: true,
    };
    let now = "2026-11-20T21:22:00Z".parse().unwrap();
    let cells = [Cell::Value(json!("a"))];
    Value::Object(resource(kind, object, &cells, &urls(), all, now))
}

#[test]
fn a_secret_round_trips_and_looks_as_recorded() {
    let mut kind = Kind::new("", "v1", "Secret", "secrets");
    kind.namespaced = true;
    let object = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"k": "djE="},
        "metadata": {"name": "s", "namespace": "default", "resourceVersion": "5"}});
    let shown = shown(&kind, object.clone());
    assert_eq!(
        (&shown["type"], &shown["_type"]),
        (&json!("secret"), &json!("Opaque"))
    );
    assert_eq!(shown["id"], "default/s");
    assert_eq!(
        shown["links"],
        json!({
            "self": "https://server.example:8443/k8s/clusters/c-1/v1/secrets/default/s",
            "update": "https://server.example:8443/k8s/clusters/c-1/v1/secrets/default/s",
            "patch": "https://server.example:8443/k8s/clusters/c-1/v1/secrets/default/s",
            "remove": "https://server.example:8443/k8s/clusters/c-1/v1/secrets/default/s",
            "view": "https://server.example:8443/k8s/clusters/c-1/api/v1/namespaces/default/secrets/s",
        })
    );
    assert_eq!(shown["metadata"]["fields"], json!(["a"]));
    assert_eq!(
        shown["metadata"]["state"],
        json!({"name": "active", "error": false, "transitioning": false, "message": ""})
    );
    let Value::Object(fields) = shown else {
        unreachable!()
    };
    assert_eq!(Value::Object(stripped(fields)), object);
}

#[test]
fn conditions_say_how_they_are() {
    let kind = Kind::new("apps", "v1", "Deployment", "deployments");
    let object = json!({"metadata": {"name": "d"}, "status": {"conditions": [
        {"type": "Progressing", "status": "True", "lastTransitionTime": "2026-11-20T21:08:24Z"},
        {"type": "Stalled", "status": "True", "lastUpdateTime": "2026-11-20T21:08:25Z"},
    ]}});
    let shown = shown(&kind, object);
    let conditions = &shown["status"]["conditions"];
    assert_eq!(conditions[0]["error"], false);
    assert_eq!(conditions[0]["lastUpdateTime"], "2026-11-20T21:08:24Z");
    assert_eq!(conditions[1]["error"], true);
}

#[test]
fn clusters_are_blocked_and_settings_show_their_default() {
    let cluster = Kind::new(GROUP, "v3", "Cluster", "clusters");
    let object = json!({"metadata": {"name": "c-1"}, "status": {"allocatable": {"cpu": "4", "memory": "1Ki"}}});
    let cluster = shown(&cluster, object);
    assert_eq!(cluster["links"]["update"], "blocked");
    assert_eq!(cluster["status"]["allocatable"]["memoryRaw"], 1024);
    assert_eq!(cluster["status"]["connected"], false);
    assert!(cluster["actions"]["apply"].is_string());
    let setting = Kind::new(GROUP, "v3", "Setting", "settings");
    let fixed = shown(
        &setting,
        json!({"metadata": {"name": "cacerts"}, "value": "", "default": "d"}),
    );
    assert_eq!(fixed["value"], "d");
    assert!(fixed["links"].get("update").is_none());
    assert_eq!(fixed["links"]["patch"], "blocked");
}

#[test]
fn quantities_are_numbers() {
    let check = |text: &str, expected: Option<f64>| {
        assert_eq!(quantity(Some(&json!(text))), expected, "{text}");
    };
    check("100m", Some(0.1));
    check("2", Some(2.0));
    check("1Gi", Some(1_073_741_824.0));
    check("3k", Some(3000.0));
    check("x", None);
}
