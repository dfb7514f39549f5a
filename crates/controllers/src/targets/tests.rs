use drover_types::names::PROJECT_ANNOTATION;
use drover_types::targets::pod_label;
use serde_json::{Value, json};

use super::*;
use crate::plan::Action;

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

fn service(name: &str, annotation: &str, ids: &[&str], spec: &Value) -> Service {
    object(json!({
        "metadata": {
            "name": name, "namespace": "a", "uid": format!("uid-{name}"), "resourceVersion": "7",
            "annotations": { annotation: json!(ids).to_string() },
        },
        "spec": spec,
    }))
}

fn pod(name: &str, namespace: &str, labels: &Value) -> ObjectMeta {
    object(
        json!({ "name": name, "namespace": namespace, "uid": format!("uid-{name}"), "labels": labels }),
    )
}

/// Workloads `web` and `api` of namespace `a`, and `web` of `b`.
fn workloads() -> BTreeMap<String, BTreeMap<String, String>> {
    ["deployment:a:web", "deployment:a:api", "deployment:b:web"]
        .map(|id| {
            let app = id.rsplit(':').next().unwrap().to_owned();
            (id.to_owned(), BTreeMap::from([("app".to_owned(), app)]))
        })
        .into()
}

/// What is changed of which labels.
fn relabelled(observed: &Observed) -> BTreeMap<String, Value> {
    let plan = reconcile(observed, "c-1");
    let of = |action: &Action| match action {
        Action::Patch { target, patch, .. } => {
            assert_eq!(patch["metadata"]["uid"], format!("uid-{}", target.name()));
            (target.to_string(), patch["metadata"]["labels"].clone())
        }
        other => panic!("{other:?}"),
    };
    plan.actions.iter().map(of).collect()
}

#[test]
fn pods_of_all_workloads_of_a_service_are_labelled_and_no_others() {
    let observed = Observed {
        services: vec![service(
            "both",
            WORKLOADS,
            &[
                "deployment:a:web",
                "deployment:a:api",
                "deployment:b:web",
                "deployment:a:gone",
            ],
            &json!({}),
        )],
        workloads: workloads(),
        pods: vec![
            pod("web-1", "a", &json!({"app": "web"})),
            pod("api-1", "a", &json!({"app": "api", "x": "y"})),
            pod(
                "right",
                "a",
                &json!({"app": "api", "workloadID_both": "true"}),
            ),
            pod("other", "a", &json!({"app": "other"})),
            pod("bare", "a", &Value::Null),
            pod(
                "strayed",
                "a",
                &json!({"app": "other", "workloadID_both": "true"}),
            ),
            pod("elsewhere", "b", &json!({"app": "web"})),
        ],
        ..Observed::default()
    };
    let yes = json!({"workloadID_both": "true"});
    let no = json!({"workloadID_both": null});
    assert_eq!(
        relabelled(&observed),
        [
            ("Pod a/api-1", yes.clone()),
            ("Pod a/strayed", no),
            ("Pod a/web-1", yes),
        ]
        .map(|(pod, change)| (pod.to_owned(), change))
        .into()
    );
}

#[test]
fn labels_go_with_their_service_and_those_of_others_stay() {
    let labels = json!({
        "app": "web", "workloadID_gone": "true", "workloadID_one": "true", "workloadID_mine": "mine",
        "workload.user.cattle.io/workloadselector": "x",
    });
    let observed = Observed {
        services: vec![
            // What Rancher's agent does for a Service of one workload.
            service("one", WORKLOADS, &["deployment:a:web"], &json!({})),
        ],
        workloads: workloads(),
        pods: vec![pod("web-1", "a", &labels)],
        ..Observed::default()
    };
    let change = json!({"workloadID_gone": null});
    assert_eq!(
        relabelled(&observed),
        BTreeMap::from([("Pod a/web-1".to_owned(), change)])
    );
}

#[test]
fn services_with_labels_of_their_own_and_long_names_label_nothing() {
    let two = ["deployment:a:web", "deployment:a:api"];
    let mut own = service("own", WORKLOADS, &two, &json!({}));
    own.annotations_mut()
        .insert(NO_LABELS.to_owned(), "true".to_owned());
    let long = "x".repeat(60);
    assert!(pod_label(&long).is_none());
    let observed = Observed {
        services: vec![own, service(&long, WORKLOADS, &two, &json!({}))],
        workloads: workloads(),
        pods: vec![pod("web-1", "a", &json!({"app": "web"}))],
        ..Observed::default()
    };
    assert!(relabelled(&observed).is_empty());
}

/// A name in `a` for names in `a`, `b` (of the same project) and `c` (of another).
fn named(records: &[&str]) -> Observed {
    let namespace = |name: &str, project: &str| {
        object(
            json!({ "name": name, "annotations": { PROJECT_ANNOTATION: format!("c-1:{project}") } }),
        )
    };
    let other = |namespace: &str, spec: Value| -> (Key, Service) {
        let found =
            object(json!({ "metadata": { "name": "svc", "namespace": namespace }, "spec": spec }));
        ((namespace.to_owned(), "svc".to_owned()), found)
    };
    let addresses = |namespace: &str, ips: &[&str]| -> (Key, Endpoints) {
        let ips: Vec<Value> = ips.iter().map(|ip| json!({ "ip": ip })).collect();
        let subset = json!({ "addresses": ips, "notReadyAddresses": [{ "ip": "10.9.9.9" }] });
        let found = object(
            json!({ "metadata": { "name": "svc", "namespace": namespace }, "subsets": [subset] }),
        );
        ((namespace.to_owned(), "svc".to_owned()), found)
    };
    let port = json!({ "name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP" });
    Observed {
        namespaces: vec![
            namespace("a", "p-1"),
            namespace("b", "p-1"),
            namespace("c", "p-2"),
        ],
        services: vec![service(
            "alias",
            RECORDS,
            records,
            &json!({ "type": "ClusterIP", "clusterIP": "None", "ports": [port] }),
        )],
        others: [
            other("a", json!({ "type": "ClusterIP" })),
            other("b", json!({ "type": "ClusterIP" })),
            other("c", json!({ "type": "ClusterIP" })),
        ]
        .into(),
        endpoints: [
            addresses("a", &["10.0.0.2", "10.0.0.1"]),
            addresses("b", &["10.0.1.1", "10.0.0.1"]),
            addresses("c", &["10.0.2.1"]),
        ]
        .into(),
        ..Observed::default()
    }
}

/// The Endpoints that are made or changed.
fn written(observed: &Observed) -> Value {
    let plan = reconcile(observed, "c-1");
    match plan.actions.as_slice() {
        [Action::Create { object, .. } | Action::Replace { object, .. }] => object.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_name_has_the_addresses_of_those_it_stands_for() {
    let mut observed = named(&["a:svc", "b:svc", "c:svc", "a:none", "nonsense"]);
    let made = written(&observed);
    assert_eq!(
        made["subsets"],
        json!([{
            "addresses": [{ "ip": "10.0.0.1" }, { "ip": "10.0.0.2" }, { "ip": "10.0.1.1" }],
            "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
        }]),
        "none of another project, none that is not ready"
    );
    assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "uid-alias");

    let key = ("a".to_owned(), "alias".to_owned());
    observed.endpoints.insert(key.clone(), object(made));
    assert!(reconcile(&observed, "c-1").is_empty());
    observed
        .endpoints
        .remove(&("b".to_owned(), "svc".to_owned()));
    let changed = written(&observed);
    let addresses = &changed["subsets"][0]["addresses"];
    assert_eq!(
        *addresses,
        json!([{ "ip": "10.0.0.1" }, { "ip": "10.0.0.2" }])
    );

    let somebodys = json!({ "metadata": { "name": "alias", "namespace": "a" } });
    observed.endpoints.insert(key, object(somebodys));
    assert!(reconcile(&observed, "c-1").is_empty(), "somebody else's");
}

#[test]
fn a_name_of_a_host_elsewhere_leads_there_and_back() {
    let mut observed = named(&["b:svc"]);
    let at = ("b".to_owned(), "svc".to_owned());
    let host = json!({ "type": "ExternalName", "externalName": "host.example" });
    observed.others.get_mut(&at).unwrap().spec = Some(object(host.clone()));
    let plan = reconcile(&observed, "c-1");
    let [Action::Patch { patch, .. }] = plan.actions.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(patch["spec"]["externalName"], "host.example");
    assert_eq!(patch["metadata"]["resourceVersion"], "7");

    observed.services[0].spec = Some(object(host));
    assert!(reconcile(&observed, "c-1").is_empty());
    observed.others.get_mut(&at).unwrap().spec = Some(object(json!({ "type": "ClusterIP" })));
    let plan = reconcile(&observed, "c-1");
    let [Action::Patch { patch, .. }] = plan.actions.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(patch["spec"]["type"], "ClusterIP");
    assert_eq!(patch["spec"]["clusterIP"], "None");
}

#[test]
fn a_name_that_finds_pods_itself_is_left_alone() {
    let mut observed = named(&["a:svc"]);
    let spec = json!({ "selector": { "app": "web" } });
    observed.services[0].spec = Some(object(spec));
    assert!(reconcile(&observed, "c-1").is_empty());
}

#[test]
fn addresses_that_were_made_here_go_when_the_name_stands_for_nothing() {
    let mut observed = named(&["a:svc"]);
    let made: Endpoints = object(written(&observed));
    let key = ("a".to_owned(), "alias".to_owned());
    observed.endpoints.insert(key, made);
    observed.services[0].metadata.annotations = None;
    let plan = reconcile(&observed, "c-1");
    let [Action::Delete { target, .. }] = plan.actions.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(target.to_string(), "Endpoints a/alias");

    let addresses = [("field.cattle.io/ipAddresses", "[\"192.0.2.1\"]")];
    let addresses = addresses.map(|(name, value)| (name.to_owned(), value.to_owned()));
    observed.services[0].metadata.annotations = Some(addresses.into());
    assert!(
        reconcile(&observed, "c-1").is_empty(),
        "the management API's now"
    );
}
