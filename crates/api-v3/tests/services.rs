//! Services, names in DNS, ingresses and autoscalers of a project: as recorded (recorded/http/10), with what they need
//! beside themselves, and nothing for those who have no part in the project.

#[cfg(test)]
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
async fn names_in_dns_stand_for_hosts_addresses_and_workloads() {
    let world = World::start().await;
    let port = json!([{
        "name": "default", "nodePort": 0, "port": 42, "protocol": "TCP", "targetPort": 42,
        "type": "/v3/project/schemas/servicePort",
    }]);
    let expected = |name: &str, more: Value| {
        let mut all = json!({
            "annotations": {}, "baseType": "dnsRecord", "id": format!("mine:{name}"),
            "labels": {"cattle.io/creator": "norman"}, "name": name, "namespaceId": "mine", "ports": port,
            "projectId": "c-1:p-1", "state": "active", "transitioning": "no", "transitioningMessage": "",
            "type": "dnsRecord", "workloadId": null,
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            all[field] = value.clone();
        }
        all
    };
    let headless = |more: Value| {
        let mut all = json!({
            "clusterIPs": ["None"], "clusterIp": null, "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            all[field] = value.clone();
        }
        all
    };
    let record = |name: &str, field: &str, value: Value| json!({"type": "dnsRecord", "name": name, "namespaceId": "mine", field: value});
    let host = record("ext", "hostname", json!("example.org"));
    let host = make(&world, "member", "dnsRecords", host).await;
    assert_eq!(
        steady(&host),
        expected("ext", json!({"hostname": "example.org"}))
    );
    assert_eq!(link_names(&host), ["remove", "self", "update", "yaml"]);

    // Where addresses lead to is the cluster's to allow, and its project members may not say it.
    let addresses = record("ips", "ipAddresses", json!(["192.0.2.1"]));
    let at = format!("{P1}/dnsRecords");
    let (status, refused) = world.send("member", "POST", &at, addresses.clone()).await;
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("Forbidden")),
        "{refused}"
    );
    assert_eq!(service(&world, "ips").await, None, "nothing is left of it");
    let addresses = make(&world, "owner", "dnsRecords", addresses).await;
    assert_eq!(
        steady(&addresses),
        expected("ips", headless(json!({"ipAddresses": ["192.0.2.1"]})))
    );
    let endpoints: kube::Api<Endpoints> = kube::Api::namespaced(world.reach.whole(), "mine");
    let listed = async || {
        let found = endpoints.get_opt("ips").await.expect("an answer")?;
        let subset = found.subsets?.into_iter().next()?;
        let ips: Vec<String> = subset.addresses?.into_iter().map(|one| one.ip).collect();
        Some((ips, subset.ports?.first()?.port))
    };
    assert_eq!(listed().await, Some((vec!["192.0.2.1".to_owned()], 42)));
    let one = format!("{at}/mine:ips");
    let two = json!({"ipAddresses": ["192.0.2.2", "192.0.2.3"]});
    let (status, _) = world.send("owner", "PUT", &one, two).await;
    assert_eq!(status, 200);
    let ips = vec!["192.0.2.2".to_owned(), "192.0.2.3".to_owned()];
    assert_eq!(listed().await, Some((ips, 42)));
    let (status, _) = world
        .send("owner", "PUT", &one, json!({"ipAddresses": []}))
        .await;
    assert_eq!((status, listed().await), (200, None));

    make(&world, "member", "workloads", web(&http())).await;
    let target = json!(["deployment:mine:web"]);
    let aimed = record("wl", "targetWorkloadIds", target.clone());
    let aimed = make(&world, "member", "dnsRecords", aimed).await;
    let selector = json!({"workload.user.cattle.io/workloadselector": "deployment-mine-web"});
    assert_eq!(
        steady(&aimed),
        expected(
            "wl",
            headless(json!({"targetWorkloadIds": target, "selector": selector}))
        )
    );
    for (field, value, code) in [
        (
            "targetWorkloadIds",
            json!(["deployment:mine:none"]),
            "InvalidReference",
        ),
        (
            "targetWorkloadIds",
            json!(["deployment:other:web"]),
            "InvalidReference",
        ),
        (
            "targetWorkloadIds",
            json!(["pod:mine:web"]),
            "InvalidReference",
        ),
        (
            "targetWorkloadIds",
            json!(["deployment:mine:web", "job:mine:x"]),
            "InvalidReference",
        ),
        (
            "targetDnsRecordIds",
            json!(["mine:none"]),
            "InvalidReference",
        ),
        (
            "targetDnsRecordIds",
            json!(["other:web"]),
            "InvalidReference",
        ),
        ("targetDnsRecordIds", json!(["ext"]), "InvalidReference"),
        ("ipAddresses", json!(["127.0.0.1"]), "InvalidOption"),
    ] {
        let (status, error) = world
            .send("owner", "POST", &at, record("bad", field, value))
            .await;
        assert_eq!(
            (status, error["code"].as_str(), error["fieldName"].as_str()),
            (422, Some(code), Some(field)),
            "{error}"
        );
    }
    let list = get(&world, "dnsRecords").await;
    assert_eq!(
        names(&list),
        ["mine:ext", "mine:ips", "mine:web", "mine:wl"]
    );
    assert_eq!(
        list["createTypes"]["dnsRecord"],
        "https://drover.example/v3/project/c-1:p-1/dnsrecords"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_lead_to_several_workloads_and_names_to_other_names() {
    let world = World::start().await;
    make(&world, "member", "workloads", web(&http())).await;
    let mut second = web(&http());
    second["name"] = json!("api");
    make(&world, "member", "workloads", second).await;
    let both = json!(["deployment:mine:web", "deployment:mine:api"]);
    let aimed = json!({"type": "service", "name": "both", "namespaceId": "mine", "targetWorkloadIds": both, "ports": [{"port": 80}]});
    let made = make(&world, "member", "services", aimed).await;
    assert_eq!(made["targetWorkloadIds"], both);
    assert_eq!(made["selector"], json!({"workloadID_both": "true"}));

    // One is found by its own labels again.
    let one = json!({"targetWorkloadIds": ["deployment:mine:api"]});
    let at = format!("{P1}/services/mine:both");
    let (status, changed) = world.send("member", "PUT", &at, one).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!(
        changed["selector"],
        json!({"workload.user.cattle.io/workloadselector": "deployment-mine-api"})
    );

    let long = "x".repeat(60);
    let aimed = json!({"type": "service", "name": long, "namespaceId": "mine", "targetWorkloadIds": both, "ports": [{"port": 80}]});
    let at = format!("{P1}/services");
    let (status, error) = world.send("member", "POST", &at, aimed).await;
    assert_eq!(
        (status, error["fieldName"].as_str()),
        (422, Some("name")),
        "{error}"
    );

    let records = json!(["mine:web", "mine:api"]);
    let named = json!({"type": "dnsRecord", "name": "alias", "namespaceId": "mine", "targetDnsRecordIds": records});
    let made = make(&world, "member", "dnsRecords", named).await;
    assert_eq!(made["targetDnsRecordIds"], records);
    assert_eq!(made["selector"], Value::Null);

    let paths = json!([{"path": "/", "workloadIds": both, "targetPort": 80}]);
    let ingress = json!({"type": "ingress", "name": "ing", "namespaceId": "mine", "rules": [{"host": "h", "paths": paths}]});
    let made = make(&world, "member", "ingresses", ingress).await;
    assert_eq!(made["rules"][0]["paths"][0]["workloadIds"], both);
    let list = get(&world, "services").await;
    let of_ingress = names(&list).into_iter().map(str::to_owned);
    let of_ingress: Vec<String> = of_ingress
        .filter(|id| id.starts_with("mine:ingress-"))
        .collect();
    let [id] = of_ingress.as_slice() else {
        panic!("{of_ingress:?}")
    };
    let shown = get(&world, &format!("services/{id}")).await;
    let name = id.trim_start_matches("mine:");
    assert_eq!(
        shown["selector"],
        json!({format!("workloadID_{name}"): "true"})
    );
    assert_eq!(shown["targetWorkloadIds"], both);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_has_the_services_that_its_ports_say() {
    let world = World::start().await;
    let made = make(&world, "member", "workloads", web(&http())).await;
    let list = get(&world, "services").await;
    assert_eq!(names(&list), ["mine:web"]);
    let shown = &list["data"][0];
    // As recorded (recorded/http/09), save that owners are named so that they take it with them.
    assert_eq!(
        shown["annotations"],
        json!({"workload.cattle.io/targetWorkloadIdNoop": "true", "workload.cattle.io/workloadPortBased": "true"})
    );
    assert_eq!(shown["targetWorkloadIds"], json!(["deployment:mine:web"]));
    assert_eq!(
        shown["ownerReferences"],
        json!([{
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": made["uuid"], "controller": true,
            "type": "/v3/project/schemas/ownerReference",
        }])
    );
    assert_eq!(
        shown["ports"],
        json!([{
            "name": "http", "nodePort": 0, "port": 80, "protocol": "TCP", "targetPort": 80,
            "type": "/v3/project/schemas/servicePort",
        }])
    );
    assert_eq!(
        shown["selector"],
        json!({"workload.user.cattle.io/workloadselector": "deployment-mine-web"})
    );
    assert_eq!(shown["creatorId"], Value::Null);

    let at = format!("{P1}/workloads/deployment:mine:web");
    let put = async |ports: Value| {
        let containers = json!([{"name": "web", "image": "nginx:1.27", "ports": ports}]);
        let (status, answer) = world
            .send("member", "PUT", &at, json!({ "containers": containers }))
            .await;
        assert_eq!(status, 200, "{answer}");
    };
    put(json!([
        {"containerPort": 80, "protocol": "TCP", "kind": "NodePort", "name": "np"},
        {"containerPort": 81, "protocol": "TCP", "kind": "ClusterIP", "name": "other"},
    ]))
    .await;
    let list = get(&world, "services").await;
    assert_eq!(names(&list), ["mine:web", "mine:web-nodeport"]);
    assert_eq!(list["data"][0]["ports"][0]["port"], 81);
    let given = list["data"][1]["ports"][0]["nodePort"].clone();
    assert!(given.as_i64().is_some_and(|port| port > 0), "{list}");

    put(json!([
        {"containerPort": 80, "protocol": "TCP", "kind": "NodePort", "name": "np"},
        {"containerPort": 82, "protocol": "TCP", "kind": "NodePort", "name": "more"},
    ]))
    .await;
    let list = get(&world, "services").await;
    let ports = &list["data"][1]["ports"];
    assert_eq!(ports[0]["nodePort"], given, "the cluster's choice stays");
    assert_eq!(ports[1]["port"], 82);
    put(json!([])).await;
    let list = get(&world, "services").await;
    assert_eq!(names(&list), ["mine:web"]);
    assert_eq!(list["data"][0]["clusterIPs"], json!(["None"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_of_others_are_left_alone() {
    let world = World::start().await;
    let own =
        json!({"name": "web", "namespaceId": "mine", "kind": "ClusterIP", "selector": {"a": "b"}});
    make(&world, "member", "services", own).await;
    let before = service(&world, "web").await.expect("it is there");
    let (status, refused) = world
        .send("member", "POST", &format!("{P1}/workloads"), web(&http()))
        .await;
    assert_eq!(
        (status, refused["code"].as_str()),
        (409, Some("AlreadyExists")),
        "{refused}"
    );
    assert_eq!(names(&get(&world, "workloads").await), Vec::<&str>::new());
    // Nobody asked for a Service, so that the name that is there is no reason to refuse.
    make(&world, "member", "workloads", web(&json!([]))).await;
    assert_eq!(service(&world, "web").await, Some(before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_make_services_gets_none() {
    let world = World::start().await;
    let roles: kube::Api<ClusterRole> = kube::Api::all(world.reach.whole());
    let role = json!({
        "metadata": {"name": "workloads-only"},
        "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]}],
    });
    let role: ClusterRole = serde_json::from_value(role).expect("a role");
    let made = roles.create(&PostParams::default(), &role).await;
    made.expect("it is taken");
    let bindings: kube::Api<RoleBinding> = kube::Api::namespaced(world.reach.whole(), "mine");
    let binding = json!({
        "metadata": {"name": "member"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "workloads-only"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "member"}],
    });
    let binding: RoleBinding = serde_json::from_value(binding).expect("a binding");
    let gone = bindings.delete("member", &Default::default()).await;
    gone.expect("it goes");
    let made = bindings.create(&PostParams::default(), &binding).await;
    made.expect("it is taken");

    let at = format!("{P1}/workloads");
    let (status, refused) = world.send("member", "POST", &at, web(&http())).await;
    assert_eq!(status, 403, "{refused}");
    make(&world, "member", "workloads", web(&json!([]))).await;
    assert_eq!(service(&world, "web").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingress_is_made_as_recorded_with_the_services_it_needs() {
    let world = World::start().await;
    make(&world, "member", "workloads", web(&json!([]))).await;
    let rules = |port: u16| {
        json!([{"host": "web.example", "paths": [
            {"path": "/", "pathType": "Prefix", "workloadIds": ["deployment:mine:web"], "targetPort": port},
        ]}])
    };
    let made = make(
        &world,
        "member",
        "ingresses",
        json!({
            "type": "ingress", "name": "ing", "namespaceId": "mine", "rules": rules(80),
        }),
    )
    .await;
    assert_eq!(
        steady(&made),
        json!({
            "annotations": {"field.cattle.io/ingressState": "{}"}, "baseType": "ingress", "id": "mine:ing",
            "labels": {"cattle.io/creator": "norman"}, "name": "ing", "namespaceId": "mine", "projectId": "c-1:p-1",
            "rules": [{
                "host": "web.example",
                "paths": [{
                    "path": "/", "pathType": "Prefix", "serviceId": null, "targetPort": 80,
                    "service": {
                        "port": {"number": 80, "type": "/v3/project/schemas/serviceBackendPort"},
                        "type": "/v3/project/schemas/ingressServiceBackend",
                    },
                    "type": "/v3/project/schemas/httpIngressPath", "workloadIds": ["deployment:mine:web"],
                }],
                "type": "/v3/project/schemas/ingressRule",
            }],
            "state": "initializing",
            "status": {
                "loadBalancer": {"type": "/v3/project/schemas/ingressLoadBalancerStatus"},
                "type": "/v3/project/schemas/ingressStatus",
            },
            "transitioning": "no", "transitioningMessage": "", "type": "ingress",
        })
    );
    let ingresses: kube::Api<Ingress> = kube::Api::namespaced(world.reach.whole(), "mine");
    let leads_to = async || {
        let found = ingresses.get("ing").await.expect("it is there");
        let found = serde_json::to_value(found).expect("JSON");
        let backend = &found["spec"]["rules"][0]["http"]["paths"][0]["backend"];
        backend["service"]["name"]
            .as_str()
            .map(str::to_owned)
            .expect("a name")
    };
    let first = leads_to().await;
    let needed = service(&world, &first).await.expect("it is there");
    let needed = serde_json::to_value(needed).expect("JSON");
    assert_eq!(needed["spec"]["ports"][0]["port"], 80);
    assert_eq!(
        needed["spec"]["selector"],
        json!({"workload.user.cattle.io/workloadselector": "deployment-mine-web"})
    );
    assert_eq!(
        needed["metadata"]["ownerReferences"][0]["uid"],
        made["uuid"]
    );

    let at = format!("{P1}/ingresses/mine:ing");
    let before = ingresses.get("ing").await.expect("it is there");
    let (status, same) = world.send("member", "PUT", &at, made.clone()).await;
    assert_eq!((status, steady(&same)), (200, steady(&made)), "{same}");
    let after = ingresses.get("ing").await.expect("it is there");
    assert_eq!(before.spec, after.spec);
    assert_eq!(before.metadata.annotations, after.metadata.annotations);

    let (status, changed) = world
        .send("member", "PUT", &at, json!({"rules": rules(8080)}))
        .await;
    assert_eq!(status, 200, "{changed}");
    let second = leads_to().await;
    assert_ne!(first, second);
    assert!(service(&world, &second).await.is_some());
    assert_eq!(service(&world, &first).await, None);

    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}});
    let patched = ingresses
        .patch_status("ing", &PatchParams::default(), &Patch::Merge(&status))
        .await;
    patched.expect("it is taken");
    let found = get(&world, "ingresses/mine:ing").await;
    assert_eq!(found["state"], "active");
    assert_eq!(
        found["status"]["loadBalancer"]["ingress"][0]["ip"],
        "192.0.2.9"
    );
    let list = get(&world, "ingresses").await;
    assert_eq!(names(&list), ["mine:ing"]);

    let gone = json!({"name": "bad", "namespaceId": "mine", "rules": [{"paths": [
        {"workloadIds": ["deployment:mine:none"], "targetPort": 80},
    ]}]});
    let (code, error) = world
        .send("member", "POST", &format!("{P1}/ingresses"), gone)
        .await;
    assert_eq!(
        (code, error["fieldName"].as_str()),
        (422, Some("workloadIds"))
    );
    assert_eq!(
        names(&get(&world, "ingresses").await),
        ["mine:ing"],
        "nothing is left of it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_autoscaler_is_made_as_recorded() {
    let world = World::start().await;
    make(&world, "member", "workloads", web(&json!([]))).await;
    let metric = json!({
        "type": "Resource", "name": "cpu", "target": {"type": "Utilization", "utilization": 70},
    });
    let made = make(&world, "member", "horizontalPodAutoscalers", json!({
        "type": "horizontalPodAutoscaler", "name": "hpa", "namespaceId": "mine",
        "workloadId": "deployment:mine:web", "minReplicas": 1, "maxReplicas": 3, "metrics": [metric],
    }))
    .await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let name = id.strip_prefix("mine:").expect("its namespace");
    assert!(name.starts_with("hpa-") && name.len() == 9, "{id}");
    assert_eq!(
        steady(&made),
        json!({
            "annotations": {}, "baseType": "horizontalPodAutoscaler", "currentReplicas": 0, "desiredReplicas": 0,
            "id": id, "labels": {"cattle.io/creator": "norman"}, "maxReplicas": 3, "metrics": [metric],
            "minReplicas": 1, "name": "hpa", "namespaceId": "mine", "projectId": "c-1:p-1", "state": "initializing",
            "transitioning": "yes", "transitioningMessage": "", "type": "horizontalPodAutoscaler",
            "workloadId": "deployment:mine:web",
        })
    );
    let scalers: kube::Api<HorizontalPodAutoscaler> =
        kube::Api::namespaced(world.reach.whole(), "mine");
    let stored = scalers.get(name).await.expect("it is there");
    assert_eq!(stored.spec.max_replicas, 3);

    let at = format!("{P1}/horizontalPodAutoscalers/{id}");
    let (status, same) = world.send("member", "PUT", &at, made.clone()).await;
    assert_eq!((status, steady(&same)), (200, steady(&made)));
    let again = scalers.get(name).await.expect("it is there");
    assert_eq!(again.spec, stored.spec);
    assert_eq!(again.metadata.annotations, stored.metadata.annotations);
    let (status, error) = world
        .send(
            "member",
            "PUT",
            &at,
            json!({"workloadId": "deployment:other:web"}),
        )
        .await;
    assert_eq!(
        (status, error["fieldName"].as_str()),
        (422, Some("workloadId"))
    );

    let status = json!({"status": {
        "currentReplicas": 2, "desiredReplicas": 3,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}}],
        "conditions": [{"type": "ScalingActive", "status": "True", "lastTransitionTime": "2026-11-20T22:06:15Z"}],
    }});
    let patched = scalers
        .patch_status(name, &PatchParams::default(), &Patch::Merge(&status))
        .await;
    patched.expect("it is taken");
    let list = get(&world, "horizontalPodAutoscalers").await;
    assert_eq!(names(&list), [id.as_str()]);
    let found = &list["data"][0];
    assert_eq!(
        (
            &found["currentReplicas"],
            &found["state"],
            &found["transitioning"]
        ),
        (&json!(2), &json!("active"), &json!("no"))
    );
    assert_eq!(found["metrics"][0]["current"]["utilization"], 12);
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
    assert_eq!(
        (status, names(&list)),
        (200, vec!["v1beta1.metrics.k8s.io"]),
        "{list}"
    );
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
