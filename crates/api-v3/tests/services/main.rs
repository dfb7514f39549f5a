//! Services, names in DNS, ingresses and autoscalers of a project: as recorded (recorded/http/10), with what they need
//! beside themselves, and nothing for those who have no part in the project.

#![cfg(test)]

mod ingresses;
mod names;
mod of_workloads;
#[path = "../reached/mod.rs"]
mod reached;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Endpoints, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::rbac::v1::{ClusterRole, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use reached::{World, names};
use serde_json::{Value, json};

const P1: &str = "/v3/project/c-1:p-1";

async fn make(world: &World, user: &str, kind: &str, body: Value) -> Value {
    let (status, made) = world
        .send(user, "POST", &format!("{P1}/{kind}"), body)
        .await;
    assert_eq!(status, 201, "{made}");
    made
}

async fn get(world: &World, path: &str) -> Value {
    let (status, found) = world
        .send("member", "GET", &format!("{P1}/{path}"), Value::Null)
        .await;
    assert_eq!(status, 200, "{path}: {found}");
    found
}

fn web(ports: &Value) -> Value {
    json!({
        "type": "workload", "name": "web", "namespaceId": "mine",
        "containers": [{"name": "web", "image": "nginx:1.27", "ports": ports}],
    })
}

fn http() -> Value {
    json!([{"containerPort": 80, "protocol": "TCP", "kind": "ClusterIP", "name": "http"}])
}

/// The answer without what is different each time, and the addresses that the cluster gave.
fn steady(answer: &Value) -> Value {
    let mut steady = answer.clone();
    let fields = steady.as_object_mut().expect("an object");
    for volatile in ["created", "createdTS", "uuid", "links", "creatorId"] {
        assert!(fields.remove(volatile).is_some(), "{volatile}: {answer}");
    }
    if fields.get("clusterIp").is_some_and(Value::is_string) {
        assert_eq!(fields["clusterIPs"], json!([fields["clusterIp"]]));
        fields.remove("clusterIp");
        fields.remove("clusterIPs");
    }
    steady
}

fn link_names(answer: &Value) -> Vec<&str> {
    let links = answer["links"].as_object().expect("links");
    links.keys().map(String::as_str).collect()
}

async fn service(world: &World, name: &str) -> Option<Service> {
    let services: kube::Api<Service> = kube::Api::namespaced(world.reach.whole(), "mine");
    services.get_opt(name).await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_is_made_as_recorded() {
    let world = World::start().await;
    let made = make(&world, "member", "services", json!({
        "type": "service", "name": "svc", "namespaceId": "mine", "kind": "ClusterIP", "selector": {"a": "b"},
        "ports": [{"port": 80, "targetPort": "80", "protocol": "TCP"}],
    }))
    .await;
    assert_eq!(
        steady(&made),
        json!({
            "annotations": {}, "baseType": "service", "healthCheckNodePort": 0, "id": "mine:svc",
            "internalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "kind": "ClusterIP", "labels": {"cattle.io/creator": "norman"}, "name": "svc", "namespaceId": "mine",
            "ports": [{
                "nodePort": 0, "port": 80, "protocol": "TCP", "targetPort": 80,
                "type": "/v3/project/schemas/servicePort",
            }],
            "projectId": "c-1:p-1", "publishNotReadyAddresses": false, "selector": {"a": "b"},
            "sessionAffinity": "None", "state": "active", "transitioning": "no", "transitioningMessage": "",
            "type": "service", "workloadId": null,
        })
    );
    assert_eq!(made["creatorId"], "member");
    assert_eq!(link_names(&made), ["remove", "self", "update", "yaml"]);

    // What was read may be sent back whole, and changes nothing.
    let at = format!("{P1}/services/mine:svc");
    let before = service(&world, "svc").await.expect("it is there");
    let (status, same) = world.send("member", "PUT", &at, made.clone()).await;
    assert_eq!((status, steady(&same)), (200, steady(&made)));
    let after = service(&world, "svc").await.expect("it is there");
    assert_eq!(before.spec, after.spec);
    let (_, changed) = world
        .send("member", "PUT", &at, json!({"selector": {"c": "d"}}))
        .await;
    assert_eq!(changed["selector"], json!({"c": "d"}));

    let headless =
        json!({"name": "none", "namespaceId": "mine", "kind": "ClusterIP", "clusterIp": null});
    let headless = make(&world, "member", "services", headless).await;
    assert_eq!(headless["clusterIPs"], json!(["None"]));
    assert_eq!(headless["ports"][0]["port"], 42, "DNS knows none without");
    let list = get(&world, "services?namespaceId=mine").await;
    assert_eq!(names(&list), ["mine:none", "mine:svc"]);
    assert_eq!(
        list["createTypes"]["service"],
        "https://drover.example/v3/project/c-1:p-1/services"
    );
    let some = get(&world, "services?name=svc").await;
    assert_eq!(names(&some), ["mine:svc"]);
    let (status, _) = world.send("member", "DELETE", &at, Value::Null).await;
    assert!(matches!(status, 200 | 204), "{status}");
    assert_eq!(service(&world, "svc").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_part_in_the_project_reaches_none_of_them() {
    let world = World::start().await;
    make(&world, "member", "workloads", web(&http())).await;
    let bodies = [
        ("services", json!({"name": "x", "namespaceId": "mine"})),
        (
            "dnsRecords",
            json!({"name": "x", "namespaceId": "mine", "hostname": "h"}),
        ),
        ("ingresses", json!({"name": "x", "namespaceId": "mine"})),
        (
            "horizontalPodAutoscalers",
            json!({"name": "x", "namespaceId": "mine", "workloadId": "deployment:mine:web", "maxReplicas": 2}),
        ),
    ];
    for (kind, body) in bodies {
        for (method, end) in [
            ("GET", ""),
            ("POST", ""),
            ("GET", "/mine:web"),
            ("PUT", "/mine:web"),
            ("DELETE", "/mine:web"),
            ("GET", "/mine:web/yaml"),
        ] {
            let send = async |user: &str, project: &str| {
                let path = format!("/v3/project/c-1:{project}/{kind}{end}");
                let sent = if ["POST", "PUT"].contains(&method) {
                    body.clone()
                } else {
                    Value::Null
                };
                world.send(user, method, &path, sent).await.0
            };
            assert_eq!(send("", "p-1").await, 401, "{method} {kind}{end}");
            assert_eq!(send("member", "p-2").await, 403, "{method} {kind}{end}");
            assert_eq!(send("stranger", "p-1").await, 403, "{method} {kind}{end}");
            // The namespace is of another project.
            let elsewhere = match (method, end) {
                ("GET", "") => 200,
                ("POST", "") => 422,
                _ => 404,
            };
            assert_eq!(
                send("owner", "p-2").await,
                elsewhere,
                "{method} {kind}{end}"
            );
        }
        let (_, list) = world
            .send(
                "owner",
                "GET",
                &format!("/v3/project/c-1:p-2/{kind}"),
                Value::Null,
            )
            .await;
        assert_eq!(names(&list), Vec::<&str>::new(), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_services_are_those_of_the_cluster() {
    let world = World::start().await;
    let object = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"namespace": "kube-system", "name": "metrics-server"},
        },
    });
    let request = http::Request::post("/apis/apiregistration.k8s.io/v1/apiservices")
        .header("content-type", "application/json")
        .body(object.to_string().into_bytes())
        .expect("a request");
    let made = world.reach.whole().request::<Value>(request).await;
    made.expect("it is taken");
    let at = "/v3/cluster/c-1/apiServices";
    let (status, list) = world.send("owner", "GET", at, Value::Null).await;
    assert_eq!(status, 200, "{list}");
    // Beside those of the cluster's own kinds.
    for name in ["v1.apps", "v1beta1.metrics.k8s.io"] {
        assert!(names(&list).contains(&name), "{list}");
    }
    let one = format!("{at}/v1beta1.metrics.k8s.io");
    let (status, found) = world.send("owner", "GET", &one, Value::Null).await;
    assert_eq!(status, 200, "{found}");
    for (field, value) in [
        ("group", json!("metrics.k8s.io")),
        ("version", json!("v1beta1")),
        ("insecureSkipTLSVerify", json!(true)),
        ("type", json!("apiService")),
    ] {
        assert_eq!(found[field], value, "{field}: {found}");
    }
    assert_eq!(found["service"]["name"], "metrics-server");
    let (status, _) = world
        .send("owner", "PUT", &one, json!({"labels": {"a": "b"}}))
        .await;
    assert_eq!(status, 200);
    for (method, path) in [
        ("GET", at),
        ("POST", at),
        ("GET", one.as_str()),
        ("PUT", &one),
        ("DELETE", &one),
    ] {
        let body = if method == "GET" || method == "DELETE" {
            Value::Null
        } else {
            json!({"name": "x"})
        };
        assert_eq!(
            world.send("", method, path, body.clone()).await.0,
            401,
            "{method} {path}"
        );
        assert_eq!(
            world.send("stranger", method, path, body).await.0,
            403,
            "{method} {path}"
        );
    }
}
