//! Workloads and pods of a project: shapes as recorded, seven kinds under one name, actions, and whose they are.

#[cfg(test)]
mod reached;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams, PostParams};
use reached::{World, names};
use serde_json::{Value, json};

const P1: &str = "/v3/project/c-1:p-1";
const WEB: &str = "/v3/project/c-1:p-1/workloads/deployment:mine:web";

/// The request that was recorded.
fn web() -> Value {
    json!({
        "type": "workload", "name": "web", "namespaceId": "mine", "scale": 2, "labels": {"x": "y"},
        "containers": [{
            "name": "web", "image": "nginx:1.27", "imagePullPolicy": "IfNotPresent",
            "ports": [{"containerPort": 80, "protocol": "TCP", "kind": "ClusterIP", "name": "http"}],
            "env": [{"name": "A", "value": "b"}],
            "readinessProbe": {
                "type": "probe", "path": "/", "port": "80", "scheme": "HTTP", "initialDelaySeconds": 1, "tcp": false,
            },
        }],
    })
}

async fn make(world: &World, kind: &str, body: Value) -> Value {
    let at = format!("{P1}/{kind}");
    let (status, made) = world.send("member", "POST", &at, body).await;
    assert_eq!(status, 201, "{made}");
    made
}

fn ends(link: &Value, end: &str) -> bool {
    link.as_str().is_some_and(|link| link.ends_with(end))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_made_as_recorded() {
    let world = World::start().await;
    let made = make(&world, "workloads", web()).await;
    let selector = json!({"workload.user.cattle.io/workloadselector": "deployment-mine-web"});
    let expected = [
        ("id", json!("deployment:mine:web")),
        ("type", json!("deployment")),
        ("baseType", json!("workload")),
        ("namespaceId", json!("mine")),
        ("projectId", json!("c-1:p-1")),
        ("creatorId", Value::Null),
        ("annotations", json!({})),
        ("scale", json!(2)),
        ("state", json!("active")),
        (
            "selector",
            json!({"matchLabels": selector, "type": "/v3/project/schemas/labelSelector"}),
        ),
    ];
    for (field, value) in expected {
        assert_eq!(made[field], value, "{field}: {made}");
    }
    let label = "workload.user.cattle.io/workloadselector";
    assert_eq!(
        made["labels"],
        json!({"x": "y", label: "deployment-mine-web"})
    );
    assert_eq!(
        made["workloadLabels"],
        json!({"cattle.io/creator": "norman", label: "deployment-mine-web"})
    );
    assert_eq!(
        made["workloadAnnotations"],
        json!({"field.cattle.io/creatorId": "member"})
    );
    let container = &made["containers"][0];
    assert_eq!(
        container["ports"],
        json!([{
            "containerPort": 80, "dnsName": "web", "hostPort": 0, "kind": "ClusterIP", "name": "http",
            "protocol": "TCP", "sourcePort": 0, "type": "/v3/project/schemas/containerPort",
        }])
    );
    for (field, value) in [
        ("path", json!("/")),
        ("port", json!(80)),
        ("tcp", json!(false)),
    ] {
        assert_eq!(container["readinessProbe"][field], value, "{container}");
    }
    assert_eq!(
        container["env"],
        json!([{"name": "A", "value": "b", "type": "/v3/project/schemas/envVar"}])
    );
    assert_eq!(container["initContainer"], false);
    assert_eq!(container.get("httpGet"), None);
    assert_eq!(
        made["deploymentStatus"]["type"],
        "/v3/project/schemas/deploymentStatus"
    );
    for action in ["pause", "resume", "rollback", "redeploy"] {
        let end = format!("/workloads/deployment:mine:web?action={action}");
        assert!(ends(&made["actions"][action], &end), "{}", made["actions"]);
    }
    for (link, end) in [("self", ""), ("revisions", "/revisions"), ("yaml", "/yaml")] {
        let end = format!("/workloads/deployment:mine:web{end}");
        assert!(ends(&made["links"][link], &end), "{}", made["links"]);
    }
    let deployments: kube::Api<Deployment> = kube::Api::namespaced(world.reach.whole(), "mine");
    let stored = deployments.get("web").await.expect("it is there");
    let stored = serde_json::to_value(stored).expect("JSON");
    let probe = &stored["spec"]["template"]["spec"]["containers"][0]["readinessProbe"];
    assert_eq!(probe["httpGet"]["port"], 80, "{stored}");

    // What was read may be sent back whole, and changes nothing.
    let (status, same) = world.send("member", "PUT", WEB, made.clone()).await;
    assert_eq!(status, 200, "{same}");
    let again = deployments.get("web").await.expect("it is there");
    let again = serde_json::to_value(again).expect("JSON");
    assert_eq!(again["spec"], stored["spec"]);
    let (_, scaled) = world.send("member", "PUT", WEB, json!({"scale": 3})).await;
    assert_eq!(
        (scaled["scale"].as_i64(), &scaled["containers"]),
        (Some(3), &made["containers"])
    );
    let (status, _) = world.send("member", "DELETE", WEB, Value::Null).await;
    assert!(matches!(status, 200 | 204), "{status}");
    let (status, _) = world.send("member", "GET", WEB, Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workloads_are_of_every_kind_and_what_they_made_is_left_out() {
    let world = World::start().await;
    let containers = json!([{"name": "c", "image": "busybox"}]);
    let body = |name: &str, more: Value| {
        let mut body = json!({"name": name, "namespaceId": "mine", "containers": containers});
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        body
    };
    make(&world, "workloads", web()).await;
    make(&world, "daemonSets", body("d", json!({}))).await;
    let set = make(
        &world,
        "workloads",
        body("s", json!({"statefulSetConfig": {"serviceName": "s"}})),
    )
    .await;
    assert_eq!(
        (set["type"].as_str(), set["id"].as_str()),
        (Some("statefulSet"), Some("statefulset:mine:s"))
    );
    assert_eq!(set["statefulSetConfig"]["serviceName"], "s");
    let job = make(&world, "jobs", body("j", json!({}))).await;
    assert_eq!(job["restartPolicy"], "OnFailure");
    assert_eq!(job.get("actions"), None);
    let cron = json!({"cronJobConfig": {"schedule": "*/5 * * * *"}});
    let cron = make(&world, "workloads", body("c", cron)).await;
    assert_eq!(cron["cronJobConfig"]["schedule"], "*/5 * * * *");
    assert_eq!(cron["cronJobConfig"].get("suspend"), None);

    let sets: kube::Api<ReplicaSet> = kube::Api::namespaced(world.reach.whole(), "mine");
    let deployments: kube::Api<Deployment> = kube::Api::namespaced(world.reach.whole(), "mine");
    let web = deployments.get("web").await.expect("it is there");
    let uid = web.metadata.uid.expect("a uid");
    let template = json!({
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "web", "image": "nginx:1.26"}]},
    });
    let set = json!({
        "metadata": {"name": "web-1", "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid, "controller": true},
        ]},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    });
    let set: ReplicaSet = serde_json::from_value(set).expect("a ReplicaSet");
    sets.create(&PostParams::default(), &set)
        .await
        .expect("it is taken");

    let at = format!("{P1}/workloads");
    let (status, list) = world.send("member", "GET", &at, Value::Null).await;
    assert_eq!(status, 200, "{list}");
    assert_eq!(
        names(&list),
        [
            "cronjob:mine:c",
            "daemonset:mine:d",
            "deployment:mine:web",
            "job:mine:j",
            "statefulset:mine:s"
        ]
    );
    assert!(ends(
        &list["createTypes"]["workload"],
        "/v3/project/c-1:p-1/workloads"
    ));
    let (_, some) = world
        .send("member", "GET", &format!("{P1}/deployments"), Value::Null)
        .await;
    assert_eq!(names(&some), ["deployment:mine:web"]);
    let (_, revisions) = world
        .send("member", "GET", &format!("{WEB}/revisions"), Value::Null)
        .await;
    assert_eq!(names(&revisions), ["replicaset:mine:web-1"]);
    for (path, expected) in [
        ("workloads/job:mine:j", 200),
        ("deployments/job:mine:j", 404),
        ("workloads/mine:j", 404),
        ("workloads/pod:mine:j", 404),
        ("workloads/job:other:j", 404),
        ("workloads/job:mine:j/revisions", 404),
    ] {
        let (status, answer) = world
            .send("member", "GET", &format!("{P1}/{path}"), Value::Null)
            .await;
        assert_eq!(status, expected, "{path}: {answer}");
    }
    let (status, _) = world
        .send(
            "owner",
            "POST",
            &format!("{P1}/replicationControllers"),
            json!({"name": "r"}),
        )
        .await;
    assert_eq!(status, 405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_change_the_deployment_or_are_refused_with_a_reason() {
    let world = World::start().await;
    make(&world, "workloads", web()).await;
    let deployments: kube::Api<Deployment> = kube::Api::namespaced(world.reach.whole(), "mine");
    let act = async |user: &str, action: &str, input: Value| {
        let path = format!("{WEB}?action={action}");
        world.send(user, "POST", &path, input).await
    };
    let paused = async || {
        let found = deployments.get("web").await.expect("it is there");
        found.spec.paused.unwrap_or_default()
    };
    assert_eq!(act("member", "pause", json!({})).await.0, 200);
    assert!(paused().await);
    let (status, error) = act("member", "pause", json!({})).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("InvalidAction"))
    );
    assert_eq!(act("member", "resume", json!({})).await.0, 200);
    assert!(!paused().await);
    assert_eq!(act("member", "redeploy", json!({})).await.0, 200);
    let found = deployments.get("web").await.expect("it is there");
    let template = found.spec.template.metadata.expect("metadata");
    let annotations = template.annotations.expect("annotations");
    assert!(
        annotations.contains_key("cattle.io/timestamp"),
        "{annotations:?}"
    );
    assert!(
        annotations.contains_key("field.cattle.io/ports"),
        "{annotations:?}"
    );
    for id in ["web-1", "replicaset:other:web-1", "replicaset:mine:none"] {
        let (status, error) = act("member", "rollback", json!({"replicaSetId": id})).await;
        assert_eq!(
            (status, error["fieldName"].as_str()),
            (422, Some("replicaSetId")),
            "{error}"
        );
    }
    for action in ["zzz", "move"] {
        let (status, error) = act("member", action, json!({})).await;
        assert_eq!(
            (status, error["code"].as_str()),
            (422, Some("InvalidAction"))
        );
    }
    // Who has no part in the project changes nothing.
    for action in ["pause", "resume", "rollback", "redeploy"] {
        let path = format!("/v3/project/c-1:p-2/workloads/deployment:mine:web?action={action}");
        let (status, _) = world.send("member", "POST", &path, json!({})).await;
        assert_eq!(status, 403, "{action}");
        let (status, _) = world.send("owner", "POST", &path, json!({})).await;
        assert_eq!(status, 404, "{action}");
        assert_eq!(act("", action, json!({})).await.0, 401, "{action}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_tell_where_they_run_and_who_keeps_them() {
    let world = World::start().await;
    let pods: kube::Api<Pod> = kube::Api::namespaced(world.reach.whole(), "mine");
    // What nobody keeps would be collected.
    let sets: kube::Api<ReplicaSet> = kube::Api::namespaced(world.reach.whole(), "mine");
    let set = json!({
        "metadata": {"name": "web-5c"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    });
    let set: ReplicaSet = serde_json::from_value(set).expect("a ReplicaSet");
    let set = sets
        .create(&PostParams::default(), &set)
        .await
        .expect("it is taken");
    let pod = json!({
        "metadata": {
            "name": "web-5c-x", "labels": {"pod-template-hash": "5c"},
            "annotations": {"field.cattle.io/ports": "[[{\"containerPort\":80,\"protocol\":\"TCP\",\"name\":\"http\",\"kind\":\"NodePort\",\"dnsName\":\"w\"}]]"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5c", "uid": set.metadata.uid, "controller": true}],
        },
        "spec": {
            "nodeName": "node-2", "schedulerName": "default-scheduler",
            "containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}]}],
        },
    });
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    pods.create(&PostParams::default(), &pod)
        .await
        .expect("it is taken");
    let status = json!({"status": {
        "phase": "Running", "podIP": "10.0.0.7",
        "containerStatuses": [{
            "name": "web", "ready": true, "restartCount": 2, "image": "nginx", "imageID": "",
            "state": {"running": {"startedAt": "2026-11-20T22:06:07Z"}},
        }],
    }});
    pods.patch_status("web-5c-x", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .expect("it is taken");
    let at = format!("{P1}/pods");
    let (code, list) = world.send("member", "GET", &at, Value::Null).await;
    assert_eq!((code, names(&list)), (200, vec!["mine:web-5c-x"]), "{list}");
    let pod = &list["data"][0];
    for (field, value) in [
        ("workloadId", json!("deployment:mine:web")),
        ("nodeId", json!("node-2")),
        ("state", json!("running")),
        ("baseType", json!("pod")),
        ("annotations", json!({})),
    ] {
        assert_eq!(pod[field], value, "{field}: {pod}");
    }
    assert_eq!(pod["scheduling"]["scheduler"], "default-scheduler");
    assert_eq!(pod["status"]["podIp"], "10.0.0.7");
    let container = &pod["containers"][0];
    assert_eq!(container["ports"][0]["kind"], "NodePort", "{container}");
    for (field, value) in [
        ("state", json!("running")),
        ("transitioning", json!("no")),
        ("restartCount", json!(2)),
        ("exitCode", Value::Null),
    ] {
        assert_eq!(container[field], value, "{field}: {container}");
    }
    let (code, _) = world
        .send(
            "member",
            "GET",
            "/v3/project/c-1:p-2/pods/mine:web-5c-x",
            Value::Null,
        )
        .await;
    assert_eq!(code, 403);
    let (code, _) = world
        .send(
            "owner",
            "GET",
            "/v3/project/c-1:p-2/pods/mine:web-5c-x",
            Value::Null,
        )
        .await;
    assert_eq!(code, 404);
}
