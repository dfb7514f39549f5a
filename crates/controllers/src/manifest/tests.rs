//! The manifest against four that Rancher v2.15.0 gave out
//! (`recorded/import-manifest.txt`, kept here as structure and values).

use drover_types::management::Cluster;
use serde_json::{Value, json};

use super::*;
use crate::settings::Settings;

fn settings() -> Settings {
    Settings::of([
        ("agent-image", "rancher/rancher-agent:v2.15.0"),
        ("server-version", "dev"),
        ("install-uuid", "fd2f6735-6979-4f79-93d4-1b1efbcf5df8"),
    ])
}

fn cluster(spec: &Value) -> Cluster {
    let mut cluster = Cluster::named("c-abcde");
    cluster.spec = serde_json::from_value(spec.clone()).unwrap();
    cluster
}

fn inputs(spec: &Value) -> Inputs {
    let mut inputs = Inputs::for_download(
        &cluster(spec),
        &settings(),
        "https://server.example:8443",
        "tok",
    )
    .unwrap();
    "1182686fa23e2c3692c0ee9a68067a7f7abb13e46cebceb6310a66de4566ac5a"
        .clone_into(&mut inputs.ca_checksum);
    inputs
}

/// What differs from recording to recording: the token and all that follows from it.
fn masked(mut values: Vec<Value>, credentials: &str) -> Vec<Value> {
    for value in &mut values {
        if value["kind"] == "Secret" {
            value["data"]["url"] = json!("<base64>");
            value["data"]["token"] = json!("<base64>");
        }
        let text = value
            .to_string()
            .replace(credentials, "cattle-credentials-<key>");
        *value = serde_json::from_str(&text).unwrap();
    }
    values
}

fn check(recorded: &str) {
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let inputs = inputs(&recorded["cluster"]);
    let credentials = credentials_name("https://server.example:8443", "tok", "");
    let ours = masked(values(&inputs).unwrap(), &credentials);
    let theirs = recorded["objects"].as_array().unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours, theirs, "{}", ours["kind"]);
    }
}

#[test]
fn a_plain_manifest_is_the_peers() {
    check(include_str!("recorded/plain.json"));
}

#[test]
fn a_manifest_with_agent_variables_is_the_peers() {
    check(include_str!("recorded/agent-variables.json"));
}

#[test]
fn a_manifest_with_a_private_registry_is_the_peers() {
    check(include_str!("recorded/private-registry.json"));
}

#[test]
fn a_manifest_with_agent_customisation_is_the_peers() {
    check(include_str!("recorded/agent-customisation.json"));
}

#[test]
fn the_credentials_key_follows_the_peers_formula() {
    assert_eq!(
        credentials_name("", "", ""),
        "cattle-credentials-5ec1f7e700"
    );
    assert_eq!(
        credentials_name("https://rancher.example.test", "tok", ""),
        "cattle-credentials-4c68f0b5a3"
    );
    assert_eq!(
        credentials_name("https://rancher.example.test", "tok", "c-abcde"),
        "cattle-credentials-471c289583"
    );
}

fn environment(inputs: &Inputs) -> Vec<(String, String)> {
    let values = values(inputs).unwrap();
    let deployment = values
        .iter()
        .find(|value| value["kind"] == "Deployment")
        .unwrap();
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    env.iter()
        .map(|variable| (text(&variable["name"]), text(&variable["value"])))
        .collect()
}

#[test]
fn a_users_own_strict_verify_wins() {
    let inputs =
        inputs(&json!({ "agentEnvVars": [{ "name": "STRICT_VERIFY", "value": "false" }] }));
    let values: Vec<_> = environment(&inputs)
        .into_iter()
        .filter(|(name, _)| name == "STRICT_VERIFY")
        .collect();
    assert_eq!(values, [("STRICT_VERIFY".to_owned(), "false".to_owned())]);
}

#[test]
fn features_come_first_and_sorted() {
    let mut inputs = inputs(&json!({}));
    inputs.features = Some(BTreeMap::from([
        ("turtles".to_owned(), false),
        ("fleet".to_owned(), false),
    ]));
    assert_eq!(
        environment(&inputs)[0],
        (
            "CATTLE_FEATURES".to_owned(),
            "fleet=false,turtles=false".to_owned()
        )
    );
}

#[test]
fn the_auth_daemon_set_stands_before_the_service() {
    let mut inputs = inputs(&json!({ "importedConfig": { "privateRegistryURL": "r.example" } }));
    inputs.auth_image = Some("rancher/kube-api-auth:v1".to_owned());
    let values = values(&inputs).unwrap();
    let kinds: Vec<_> = values
        .iter()
        .map(|value| value["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[kinds.len() - 3..],
        ["Deployment", "DaemonSet", "Service"]
    );
    let container = &values[kinds.len() - 2]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "r.example/rancher/kube-api-auth:v1");
}

#[test]
fn an_enabled_endpoint_brings_our_program_to_the_control_plane() {
    let spec = json!({
        "localClusterAuthEndpoint": { "enabled": true }, "importedConfig": { "privateRegistryURL": "r.example" },
    });
    let mut inputs = inputs(&spec);
    inputs.auth_image = Some("rancher/kube-api-auth:v1".to_owned());
    let all = values(&inputs).unwrap();
    let sets: Vec<_> = all
        .iter()
        .filter(|value| value["kind"] == "DaemonSet")
        .collect();
    assert_eq!(sets.len(), 1);
    let pod = &sets[0]["spec"]["template"]["spec"];
    assert_eq!(pod["hostNetwork"], true);
    let container = &pod["containers"][0];
    assert_eq!(
        container["command"],
        json!(["drover-agent", "authenticate"])
    );
    let image = format!("r.example/{}", drover_types::names::AGENT_IMAGE);
    assert_eq!(container["image"], image, "the peer's agent cannot do it");
    let terms = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(
        terms["nodeSelectorTerms"][1]["matchExpressions"][0],
        json!({ "key": "node-role.kubernetes.io/control-plane", "operator": "Exists" })
    );
    let names: Vec<_> = container["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["name"].as_str().unwrap())
        .collect();
    for name in ["CATTLE_SERVER", "CATTLE_CA_CHECKSUM", "DROVER_NODE_NAME"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
}

#[test]
fn the_endpoints_image_is_the_setting_s_or_that_of_our_agent() {
    let check = |agent: &str, named: &str, expected: &str| {
        let spec = json!({
            "agentImageOverride": agent, "localClusterAuthEndpoint": { "enabled": true },
        });
        let settings = Settings::of([("auth-endpoint-image", named)]);
        let inputs = Inputs::for_download(&cluster(&spec), &settings, "https://x", "t").unwrap();
        assert_eq!(inputs.endpoint_image.as_deref(), Some(expected));
    };
    check(
        "r.example/x/drover-agent@sha256:ab",
        "",
        "r.example/x/drover-agent@sha256:ab",
    );
    check("drover-agent:v1", "own:1", "own:1");
    check(
        "rancher/rancher-agent:v2.15.0",
        "",
        drover_types::names::AGENT_IMAGE,
    );
}

#[test]
fn a_disruption_budget_has_one_bound() {
    let scheduling = json!({ "podDisruptionBudget": { "minAvailable": "1", "maxUnavailable": "0" }, "priorityClass": { "value": 5 } });
    let mut inputs = inputs(
        &json!({ "clusterAgentDeploymentCustomization": { "schedulingCustomization": scheduling } }),
    );
    let all = values(&inputs).unwrap();
    let budget = all
        .iter()
        .find(|value| value["kind"] == "PodDisruptionBudget")
        .unwrap();
    assert_eq!(budget["spec"]["minAvailable"], 1);
    assert_eq!(budget["spec"]["maxUnavailable"], Value::Null);
    let pod = |values: &[Value]| {
        values
            .iter()
            .find(|value| value["kind"] == "Deployment")
            .unwrap()["spec"]["template"]["spec"]
            .clone()
    };
    assert_eq!(pod(&all)["priorityClassName"], Value::Null);
    inputs.priority_class_exists = true;
    assert_eq!(
        pod(&values(&inputs).unwrap())["priorityClassName"],
        PRIORITY_CLASS
    );
}

#[test]
fn known_taints_take_the_place_of_the_usual_tolerations() {
    let mut inputs = inputs(&json!({}));
    inputs.control_plane_taints = Some(vec![k8s_openapi::api::core::v1::Taint {
        key: "node-role.kubernetes.io/etcd".to_owned(),
        value: None,
        effect: "NoExecute".to_owned(),
        time_added: None,
    }]);
    let values = values(&inputs).unwrap();
    let deployment = values
        .iter()
        .find(|value| value["kind"] == "Deployment")
        .unwrap();
    let expected = json!([{ "key": "node-role.kubernetes.io/etcd", "operator": "Exists", "effect": "NoExecute" }]);
    assert_eq!(
        deployment["spec"]["template"]["spec"]["tolerations"],
        expected
    );
}

#[test]
fn images_without_a_folder_are_put_into_the_peers() {
    let inputs = inputs(&json!({ "importedConfig": { "privateRegistryURL": "r.example:5000/" } }));
    assert_eq!(inputs.image("shell:v1"), "r.example:5000/rancher/shell:v1");
    assert_eq!(inputs.image("r.example:5000/x/y:1"), "r.example:5000/x/y:1");
}

#[test]
fn input_that_is_no_kubernetes_value_is_an_error_that_names_the_field() {
    let cluster =
        cluster(&json!({ "clusterAgentDeploymentCustomization": { "appendTolerations": "all" } }));
    let error = Inputs::for_download(&cluster, &settings(), "https://x", "t").unwrap_err();
    assert_eq!(
        error.to_string(),
        "spec.clusterAgentDeploymentCustomization of cluster c-abcde is not valid"
    );
}

#[test]
fn the_text_form_reads_back_as_the_objects_and_input_stays_inside_its_scalar() {
    let hostile = "x\"\n---\nkind: Secret\n# : - {";
    let inputs = inputs(&json!({ "agentEnvVars": [{ "name": "A", "value": hostile }] }));
    let text = document(&inputs).unwrap();
    let documents: Vec<&str> = text
        .split("---\n")
        .filter(|document| !document.is_empty())
        .collect();
    let expected = values(&inputs).unwrap();
    assert_eq!(documents.len(), expected.len());
    for (document, expected) in documents.iter().zip(&expected) {
        assert_eq!(
            &serde_saphyr::from_str::<Value>(document).unwrap(),
            expected
        );
    }
}
