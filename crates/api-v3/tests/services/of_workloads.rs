//! Services that come with workloads.

use super::*;

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
async fn services_that_the_peers_agent_makes_at_the_same_time_are_the_workloads() {
    let world = World::start().await;
    world.reach.let_the_agent_be_first();
    let made = make(&world, "member", "workloads", web(&http())).await;
    let list = get(&world, "services").await;
    assert_eq!(names(&list), ["mine:web"]);
    let owners = &list["data"][0]["ownerReferences"];
    assert_eq!(owners.as_array().map(Vec::len), Some(1), "{owners}");
    assert_eq!(owners[0]["uid"], made["uuid"]);
    // By this version the owner takes it along; the agent's is no longer served.
    assert_eq!(owners[0]["apiVersion"], "apps/v1");
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
