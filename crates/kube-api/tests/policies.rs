//! Admission policies as one who trusts them sees them: they hold from the write that makes them on.

mod common;

use common::{Answer, Api, eventually};
use serde_json::{Value, json};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn policy(name: &str, spec: &Value) -> Value {
    let mut policy = json!({
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"],
            }]},
        },
    });
    for (member, value) in spec.as_object().into_iter().flatten() {
        policy["spec"][member] = value.clone();
    }
    policy
}

fn binding(policy: &str, spec: &Value) -> Value {
    let mut binding = json!({
        "metadata": {"name": policy}, "spec": {"policyName": policy, "validationActions": ["Deny"]},
    });
    for (member, value) in spec.as_object().into_iter().flatten() {
        binding["spec"][member] = value.clone();
    }
    binding
}

/// Makes a policy with its binding.
async fn enact(api: &Api, name: &str, spec: &Value, bound: &Value) {
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    api.post(&policies, &policy(name, spec)).await.expect(201);
    let bindings = format!("{GROUP}/validatingadmissionpolicybindings");
    api.post(&bindings, &binding(name, bound)).await.expect(201);
}

async fn make(api: &Api, name: &str, data: &Value) -> Answer {
    api.post(MAPS, &json!({"metadata": {"name": name}, "data": data}))
        .await
}

#[tokio::test]
async fn a_policy_holds_from_its_binding_on_until_that_goes() {
    let api = Api::memory().await;
    let spec =
        json!({"validations": [{"expression": "object == null || object.metadata.name != 'bad'"}]});
    enact(&api, "names", &spec, &json!({})).await;
    let refused = make(&api, "bad", &json!({})).await.expect(422);
    let why = "ValidatingAdmissionPolicy 'names' with binding 'names' denied request: failed expression: object == null || object.metadata.name != 'bad'";
    assert_eq!(
        refused["message"],
        format!("configmaps \"bad\" is forbidden: {why}")
    );
    assert_eq!(refused["details"]["causes"], json!([{"message": why}]));
    make(&api, "good", &json!({})).await.expect(201);
    // It may be taken away whatever it says.
    api.delete(&format!("{GROUP}/validatingadmissionpolicybindings/names"))
        .await
        .expect(200);
    make(&api, "bad", &json!({})).await.expect(201);
}

#[tokio::test]
async fn a_policy_holds_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db");
    let api = Api::file(&file).await;
    enact(
        &api,
        "none",
        &json!({"validations": [{"expression": "false"}]}),
        &json!({}),
    )
    .await;
    api.server.shutdown().await;
    let api = Api::file(&file).await;
    make(&api, "a", &json!({})).await.expect(422);
}

#[tokio::test]
async fn what_the_server_does_itself_is_not_asked_about() {
    let api = Api::memory().await.settled().await;
    api.post(
        "/api/v1/namespaces",
        &json!({"metadata": {"name": "going"}}),
    )
    .await
    .expect(201);
    api.post(
        "/api/v1/namespaces/going/configmaps",
        &json!({"metadata": {"name": "a"}}),
    )
    .await
    .expect(201);
    enact(
        &api,
        "none",
        &json!({"validations": [{"expression": "false", "reason": "Forbidden"}]}),
        &json!({}),
    )
    .await;
    api.delete("/api/v1/namespaces/going/configmaps/a")
        .await
        .expect(403);
    api.delete("/api/v1/namespaces/going").await.expect(200);
    eventually("the namespace to go", || async {
        let answer = api.get("/api/v1/namespaces/going").await;
        (answer.code.as_u16() == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn failures_count_as_the_policy_says() {
    let api = Api::memory().await;
    let fails = json!({"validations": [{"expression": "object.none.none == 1"}]});
    enact(&api, "strict", &fails, &json!({})).await;
    let refused = make(&api, "a", &json!({})).await.expect(422);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("expression 'object.none.none == 1' resulted in error: no such key: none"),
        "{message}"
    );
    let policies = format!("{GROUP}/validatingadmissionpolicies/strict");
    api.merge(&policies, &json!({"spec": {"failurePolicy": "Ignore"}}))
        .await
        .expect(200);
    make(&api, "a", &json!({})).await.expect(201);
}

#[tokio::test]
async fn parameters_are_read_when_a_write_comes() {
    let api = Api::memory().await;
    api.post(
        "/api/v1/namespaces/kube-system/configmaps",
        &json!({"metadata": {"name": "limit"}, "data": {"most": "1"}}),
    )
    .await
    .expect(201);
    let spec = json!({
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{
            "expression": "object == null || !has(object.data) || object.data.size() <= int(params.data.most)",
            "messageExpression": "'at most ' + params.data.most",
        }],
    });
    let bound = json!({
        "paramRef": {"name": "limit", "namespace": "kube-system", "parameterNotFoundAction": "Deny"},
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}},
    });
    enact(&api, "sizes", &spec, &bound).await;
    let two = json!({"a": "1", "b": "2"});
    let refused = make(&api, "a", &two).await.expect(422);
    assert!(refused["message"].as_str().unwrap().ends_with("at most 1"));
    let limit = "/api/v1/namespaces/kube-system/configmaps/limit";
    api.merge(limit, &json!({"data": {"most": "2"}}))
        .await
        .expect(200);
    make(&api, "a", &two).await.expect(201);
    api.delete(limit).await.expect(200);
    let refused = make(&api, "b", &json!({})).await.expect(422);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .ends_with("no params found for policy binding with `Deny` parameterNotFoundAction")
    );
}

#[tokio::test]
async fn costs_are_bounded() {
    let api = Api::memory().await;
    let spec = json!({"validations": [{
        "expression": "object == null || !has(object.data) || object.data.all(a, object.data.all(b, object.data.all(c, object.data.all(d, a + b + c + d != ''))))",
    }]});
    enact(&api, "long", &spec, &json!({})).await;
    let data: Value = (0..200)
        .map(|number| (format!("key-{number}"), json!("x")))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let refused = make(&api, "a", &data).await.expect(422);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("running out of cost budget")
    );
    make(&api, "b", &json!({})).await.expect(201);
}

/// Makes a mutating policy of config maps with its binding.
async fn change(api: &Api, name: &str, again: &str, mutation: &Value) {
    let mut object = policy(
        name,
        &json!({"reinvocationPolicy": again, "mutations": [mutation]}),
    );
    object["spec"]["matchConstraints"]["resourceRules"][0]["operations"] =
        json!(["CREATE", "UPDATE"]);
    let policies = format!("{GROUP}/mutatingadmissionpolicies");
    api.post(&policies, &object).await.expect(201);
    let bindings = format!("{GROUP}/mutatingadmissionpolicybindings");
    let bound = json!({"metadata": {"name": name}, "spec": {"policyName": name}});
    api.post(&bindings, &bound).await.expect(201);
}

#[tokio::test]
async fn who_is_asked_again_sees_what_others_changed() {
    let api = Api::memory().await;
    let count = json!({"patchType": "ApplyConfiguration", "applyConfiguration": {
        "expression": "Object{data: {'n': string(object.data.size())}}",
    }});
    change(&api, "a-count", "IfNeeded", &count).await;
    let add = json!({"patchType": "JSONPatch", "jsonPatch": {
        "expression": "'b' in object.data ? [] : [JSONPatch{op: 'add', path: '/data/b', value: 'x'}]",
    }});
    change(&api, "b-add", "Never", &add).await;
    let made = make(&api, "m", &json!({"a": "1"})).await.expect(201);
    assert_eq!(made["data"], json!({"a": "1", "b": "x", "n": "3"}));
    // What a policy changed is nobody's.
    let owned = &made["metadata"]["managedFields"][0]["fieldsV1"]["f:data"];
    assert_eq!(owned, &json!({".": {}, "f:a": {}}));
}

#[tokio::test]
async fn validating_policies_see_what_mutating_ones_made() {
    let api = Api::memory().await;
    let label = json!({"patchType": "ApplyConfiguration", "applyConfiguration": {
        "expression": "Object{metadata: Object.metadata{labels: {'team': 'a'}}}",
    }});
    change(&api, "label", "Never", &label).await;
    let labelled = "object == null || object.metadata.labels.team == 'a'";
    let spec = json!({"validations": [{"expression": labelled}]});
    enact(&api, "labelled", &spec, &json!({})).await;
    make(&api, "m", &json!({})).await.expect(201);
    let bindings = format!("{GROUP}/mutatingadmissionpolicybindings/label");
    api.delete(&bindings).await.expect(200);
    make(&api, "n", &json!({})).await.expect(422);
}
