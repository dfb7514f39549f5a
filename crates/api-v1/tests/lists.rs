//! What lists can be asked: every field, order and projection that the reference names, and orders that are kept.

#![cfg(test)]

mod common;

use common::{INSIDE, World, ids, put};
use drover_testkit::embedded;
use drover_types::management::Project;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

async fn pod(world: &World, name: &str, labels: Value, node: &str, images: &[&str], ip: &str) {
    let pods: Api<Pod> = Api::namespaced(world.cluster.clone(), "mine");
    let containers: Vec<Value> = images
        .iter()
        .enumerate()
        .map(|(at, image)| json!({"name": format!("c{at}"), "image": image}))
        .collect();
    let spec = json!({"nodeName": node, "containers": containers});
    put::<Pod>(
        pods.clone(),
        json!({"metadata": {"name": name, "labels": labels}, "spec": spec}),
    )
    .await;
    let status = Patch::Merge(json!({"status": {"phase": "Running", "podIP": ip}}));
    pods.patch_status(name, &PatchParams::default(), &status)
        .await
        .expect("a status");
}

async fn three_pods(world: &World) {
    let front = json!({"tier": "front"});
    pod(
        world,
        "web-2",
        front,
        "n-1",
        &["nginx:1", "redis:7"],
        "10.0.0.9",
    )
    .await;
    let back = json!({"tier": "Back"});
    pod(world, "web-10", back, "n-2", &["nginx:2"], "10.0.0.10").await;
    pod(world, "job-1", json!({}), "n-1", &["busybox"], "10.0.0.2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_are_found_and_ordered_by_every_kind_of_field() {
    let world = World::start().await;
    three_pods(&world).await;
    for (query, expected) in [
        ("", "job-1 web-10 web-2"),
        ("filter=spec.nodeName=n-1", "job-1 web-2"),
        ("filter=spec.nodeName != n-1", "web-10"),
        ("filter=spec.containers.image contains redis:7", "web-2"),
        (
            "filter=spec.containers.image notcontains redis:7",
            "job-1 web-10",
        ),
        ("filter=spec.containers.image~NGINX", "web-10 web-2"),
        ("filter=spec.containers.image!~nginx", "job-1"),
        ("filter=spec.containers.image='nginx:1|redis:7'", "web-2"),
        (
            "filter=status.podIP IN (10.0.0.9,'10.0.0.2')",
            "job-1 web-2",
        ),
        ("filter=status.podIP NOTIN (10.0.0.9,10.0.0.2)", "web-10"),
        ("filter=metadata.fields[0]~web", "web-10 web-2"),
        ("filter=metadata.state.name=running", "job-1 web-10 web-2"),
        ("filter=metadata.labels[tier]", "web-10 web-2"),
        ("filter=!metadata.labels[tier]", "job-1"),
        ("filter=metadata.labels[tier]!=front", "job-1 web-10"),
        ("filter=metadata.labels.tier==front", "web-2"),
        (
            "filter=metadata.name=web-2,spec.nodeName=n-2",
            "web-10 web-2",
        ),
        ("filter=metadata.name~web&filter=spec.nodeName=n-1", "web-2"),
        ("filter=id=mine/web-2,id=other/web-10", "web-2"),
        (
            "filter=metadata.creationTimestamp>2000-01-01T00:00:00Z",
            "job-1 web-10 web-2",
        ),
        ("sort=metadata.name", "job-1 web-10 web-2"),
        ("sort=-metadata.name", "web-2 web-10 job-1"),
        ("sort=natural(metadata.name)", "job-1 web-2 web-10"),
        ("sort=ip(status.podIP)", "job-1 web-2 web-10"),
        ("sort=ip(-status.podIP)", "web-10 web-2 job-1"),
        ("sort=status.podIP", "web-10 job-1 web-2"),
        ("sort=spec.nodeName,-metadata.name", "web-2 job-1 web-10"),
        ("sort=metadata.labels[tier]", "web-10 web-2 job-1"),
        ("sort=-metadata.labels[tier]", "job-1 web-2 web-10"),
        (
            "sort=metadata.fields[0]&filter=spec.nodeName=n-1",
            "job-1 web-2",
        ),
    ] {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let encoded = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        // Twice: an order that is known answers as one that is made.
        for _ in 0..2 {
            let list = world
                .get("owner", &format!("{INSIDE}/pods/mine?{encoded}"))
                .await;
            let names: Vec<&str> = ids(&list)
                .into_iter()
                .map(|id| id.trim_start_matches("mine/"))
                .collect();
            assert_eq!(names.join(" "), expected, "{query}");
            assert_eq!(list["count"].as_u64(), Some(names.len() as u64), "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_counted_and_objects_cut_down_as_asked() {
    let world = World::start().await;
    three_pods(&world).await;
    let get = |query: &'static str| {
        let world = &world;
        async move { world.get("owner", &format!("{INSIDE}/pods?{query}")).await }
    };
    let list = get("summary=spec.nodeName,metadata.labels[tier]").await;
    assert_eq!(
        list["summary"],
        json!([
            {"property": "spec.nodeName", "counts": {"n-1": {"total": 2}, "n-2": {"total": 1}}},
            {"property": "metadata.labels[tier]", "counts": {"Back": {"total": 1}, "front": {"total": 1}}},
        ])
    );
    assert_eq!(ids(&list).len(), 3);
    // The page has nothing to do with what is counted.
    let list = get("summary=spec.nodeName&pagesize=1&sort=metadata.name").await;
    assert_eq!(list["summary"][0]["counts"]["n-1"]["total"], 2);
    assert_eq!(ids(&list), ["mine/job-1"]);

    let of = |list: Value| list["data"][0].clone();
    let one =
        of(get("filter=metadata.name=job-1&include=metadata.name&include=spec.nodeName").await);
    assert_eq!(
        one,
        json!({"metadata": {"name": "job-1"}, "spec": {"nodeName": "n-1"}})
    );
    let one = of(get("filter=metadata.name=job-1&exclude=metadata").await);
    let keys: Vec<&str> = one
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    for key in ["id", "type", "links", "spec", "status"] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    assert!(!keys.contains(&"metadata"), "{keys:?}");
    let maps = format!("{INSIDE}/configmaps/mine?filter=metadata.name=in-mine");
    let one = of(world
        .get("owner", &format!("{maps}&excludeValues=data"))
        .await);
    assert_eq!(one["data"], json!({"k": ""}));
    // One key of the data, as the list of certificates asks for it.
    let one = of(world.get("owner", &format!("{maps}&include=data[k]")).await);
    assert_eq!(one, json!({"data": {"k": "in-mine"}}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_collection_has_the_recorded_form() {
    let world = World::start().await;
    let query = "pagesize=2&page=1&sort=metadata.name";
    let list = world
        .get(&world.admin, &format!("/v1/namespaces?{query}"))
        .await;
    let mut keys: Vec<&String> = list.as_object().expect("an object").keys().collect();
    keys.sort();
    // As recorded (http/06, `GET /v1/namespaces?pagesize=2&page=1&sort=metadata.name`).
    assert_eq!(
        keys,
        [
            "actions",
            "continue",
            "count",
            "createTypes",
            "data",
            "links",
            "pagination",
            "resourceType",
            "revision",
            "type"
        ]
    );
    let own = "https://drover.example/v1/namespaces";
    assert_eq!(
        list["pagination"],
        json!({"first": own, "next": format!("{own}?continue=2&{}", "page=1&pagesize=2&sort=metadata.name"), "partial": true})
    );
    assert_eq!(list["continue"], "2");
    assert_eq!(list["createTypes"], json!({"namespace": own}));
    assert_eq!(list["data"][0]["metadata"]["state"]["message"], "");
    for (revision, code) in [
        ("abc", "invalid revision query param"),
        ("99999999999", "unknown revision"),
    ] {
        let path = format!("/v1/namespaces?revision={revision}");
        let (status, body) = world.send(&world.admin, "GET", &path, Value::Null).await;
        assert_eq!((status, body["code"].as_str()), (400, Some(code)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_is_kept_shows_every_write_at_once_and_to_each_what_they_see() {
    let world = World::start().await;
    for at in 0..10 {
        let labels = json!({"n": format!("{:02}", 10 - at)});
        let place = if at % 2 == 0 { "mine" } else { "other" };
        world.configmap(place, &format!("cm-{at}"), labels).await;
    }
    let list = |user: &'static str, query: &'static str| {
        let world = &world;
        async move {
            let path = format!("{INSIDE}/configmaps?{query}");
            let list = world.get(user, &path).await;
            let names = ids(&list).into_iter().filter_map(|id| id.split('/').nth(1));
            names.map(str::to_owned).collect::<Vec<_>>().join(" ")
        }
    };
    // The first page makes the order, for everybody.
    let order = "sort=metadata.labels[n]&pagesize=3";
    assert_eq!(list("owner", order).await, "cm-9 cm-8 cm-7");
    assert_eq!(
        list("owner", "sort=metadata.labels[n]&pagesize=3&page=3").await,
        "cm-3 cm-2 cm-1"
    );
    assert_eq!(list("member", order).await, "cm-8 cm-6 cm-4");
    let filtered = "sort=metadata.labels[n]&filter=metadata.name%20in%20(cm-1,cm-9,cm-4)";
    assert_eq!(list("owner", filtered).await, "cm-9 cm-4 cm-1");
    assert_eq!(list("member", filtered).await, "cm-4");

    let cm = format!("{INSIDE}/configmaps/mine/cm-4");
    let labels = json!({"metadata": {"labels": {"n": "00"}}});
    let (status, _) = world.send("owner", "PATCH", &cm, labels).await;
    assert_eq!(status, 200);
    assert_eq!(list("owner", order).await, "cm-4 cm-9 cm-8");
    assert_eq!(list("member", order).await, "cm-4 cm-8 cm-6");
    let (status, _) = world.send("owner", "DELETE", &cm, Value::Null).await;
    assert!(matches!(status, 200 | 204), "{status}");
    assert_eq!(list("owner", order).await, "cm-9 cm-8 cm-7");
    assert_eq!(list("member", filtered).await, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_by_labels_hears_of_what_leaves_and_of_nothing_else() {
    let world = World::start().await;
    let mut stream = world.subscribe("owner", INSIDE, None).await.ok().unwrap();
    stream
        .say(json!({"resourceType": "configmap", "selector": "team=red"}))
        .await;
    assert_eq!(stream.next().await["name"], "resource.start");
    world
        .configmap("mine", "moves", json!({"team": "red"}))
        .await;
    let made = stream.next().await;
    assert_eq!(
        (made["name"].as_str(), made["selector"].as_str()),
        (Some("resource.create"), Some("team=red"))
    );
    let label = |team: &'static str| {
        let world = &world;
        async move {
            let path = format!("{INSIDE}/configmaps/mine/moves");
            let body = json!({"metadata": {"labels": {"team": team}}});
            let (status, _) = world.send("owner", "PATCH", &path, body).await;
            assert_eq!(status, 200);
        }
    };
    label("blue").await;
    let left = stream.next().await;
    assert_eq!(
        (
            left["name"].as_str(),
            left["data"]["metadata"]["labels"]["team"].as_str()
        ),
        (Some("resource.change"), Some("blue"))
    );
    label("green").await;
    label("red").await;
    let back = stream.next().await;
    assert_eq!(
        (
            back["name"].as_str(),
            back["data"]["metadata"]["labels"]["team"].as_str()
        ),
        (Some("resource.change"), Some("red"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_found_and_ordered_by_their_projects() {
    let world = World::start().await;
    let projects: Api<Project> = Api::namespaced(world.hub.clone(), "c-1");
    for (name, shown) in [("p-2", "alpha"), ("p-3", "Zeta")] {
        let project = json!({"metadata": {"name": name}, "spec": {"clusterName": "c-1", "displayName": shown}});
        put::<Project>(projects.clone(), project).await;
    }
    let secrets: Api<Secret> = Api::namespaced(world.hub.clone(), "c-1-p-1");
    for (name, project, cluster) in [
        ("of-first", "p-1", Some("c-1")),
        ("of-second", "p-2", Some("c-1")),
        ("of-third", "p-3", None),
        ("of-none", "p-9", Some("c-1")),
    ] {
        let mut labels = json!({"management.cattle.io/project-scoped-secret": project});
        if let Some(cluster) = cluster {
            labels["management.cattle.io/project-scoped-secret-cluster"] = json!(cluster);
        }
        let secret = json!({"metadata": {"name": name, "labels": labels}, "data": {}});
        put::<Secret>(secrets.clone(), secret).await;
    }
    let admin = world.admin.clone();
    let scoped = "filter=metadata.labels[management.cattle.io/project-scoped-secret]";
    let check = async |query: &str, expected: &str| {
        let list = world
            .get(&admin, &format!("/v1/secrets?{scoped}&{query}"))
            .await;
        let names: Vec<&str> = ids(&list)
            .into_iter()
            .filter_map(|id| id.strip_prefix("c-1-p-1/"))
            .collect();
        assert_eq!(names.join(" "), expected, "{query}: {list}");
    };
    check(
        "sort=spec.displayName",
        "of-second of-first of-third of-none",
    )
    .await;
    check(
        "sort=-spec.displayName",
        "of-third of-first of-second of-none",
    )
    .await;
    check("filter=spec.displayName~ALP", "of-second").await;
    check("filter=spec.clusterName=c-1", "of-first of-second of-third").await;
    check("filter=!spec.clusterName", "of-none").await;
    let renamed = Patch::Merge(json!({"spec": {"displayName": "omega"}}));
    projects
        .patch("p-2", &PatchParams::default(), &renamed)
        .await
        .expect("it is renamed");
    embedded::until("the new name", || async {
        let list = world
            .get(
                &admin,
                &format!("/v1/secrets?{scoped}&filter=spec.displayName=omega"),
            )
            .await;
        (ids(&list) == ["c-1-p-1/of-second"]).then_some(())
    })
    .await;
}
