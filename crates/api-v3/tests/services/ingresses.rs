//! Ingresses and autoscalers.

use super::*;

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
