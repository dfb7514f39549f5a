//! Names in DNS, and Services of several workloads.

use super::*;

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
async fn endpoints_that_the_peers_agent_makes_at_the_same_time_are_the_names() {
    let world = World::start().await;
    world.reach.let_the_agent_be_first();
    let body = json!({"name": "addr", "namespaceId": "mine", "ipAddresses": ["10.1.2.3"]});
    make(&world, "owner", "dnsRecords", body).await;
    let endpoints: kube::Api<Endpoints> = kube::Api::namespaced(world.reach.whole(), "mine");
    let made = endpoints.get("addr").await.expect("they are there");
    let of_the_name = made.metadata.owner_references.unwrap_or_default();
    assert_eq!(of_the_name[0].kind, "Service");
    let subsets = serde_json::to_value(made.subsets).expect("JSON");
    assert_eq!(subsets[0]["addresses"][0]["ip"], "10.1.2.3");
}
