//! Clusters and what hangs on them, created, changed, listed and removed.

#[cfg(test)]
mod common;

use base64::Engine as _;
use common::{ADMIN, MANAGEMENT, World};
use serde_json::{Value, json};

#[tokio::test]
async fn a_cluster_is_created_as_recorded() {
    let world = World::new();
    let answer = world
        .post(
            "/v3/clusters",
            json!({
                "type": "cluster", "name": "oracle1", "description": "d", "labels": {"team": "a", "cattle.io/creator": "me"},
                "agentEnvVars": [{"name": "HTTP_PROXY", "value": "http://p"}], "importedConfig": {"privateRegistryURL": "r:5000"},
                "driver": "mine", "nope": {"deep": true}, "id": "c-mine", "state": "x",
            }),
        )
        .await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.header("x-api-schemas"),
        "https://server.example:8443/v3/cluster/schemas"
    );
    let cluster = answer.json();
    let id = cluster["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("c-") && id != "c-mine");
    for (field, expected) in [
        ("name", json!("oracle1")),
        ("description", json!("d")),
        ("annotations", json!({})),
        ("creatorId", json!(ADMIN)),
        (
            "labels",
            json!({"team": "a", "cattle.io/creator": "norman"}),
        ),
        ("dockerRootDir", json!("/var/lib/docker")),
        ("internal", json!(false)),
        ("nodeCount", json!(0)),
        ("state", json!("active")),
        ("transitioning", json!("no")),
        ("baseType", json!("cluster")),
    ] {
        assert_eq!(cluster[field], expected, "{field}");
    }
    assert_eq!(
        cluster["actions"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["generateKubeconfig", "importYaml"]
    );
    assert_eq!(
        cluster["links"]["shell"],
        format!("wss://server.example:8443/v3/clusters/{id}?shell=true")
    );
    let links: Vec<&String> = cluster["links"].as_object().unwrap().keys().collect();
    assert_eq!(
        links,
        [
            "apiServices",
            "clusterRegistrationTokens",
            "clusterRoleTemplateBindings",
            "namespaces",
            "nodes",
            "persistentVolumes",
            "projects",
            "remove",
            "self",
            "shell",
            "storageClasses",
            "subscribe",
            "tokens",
            "update",
        ]
    );
    let stored = world
        .store
        .get(&format!("{MANAGEMENT}/clusters/{id}"))
        .unwrap();
    assert_eq!(
        stored["spec"],
        json!({
            "displayName": "oracle1", "enableNetworkPolicy": false, "description": "d", "dockerRootDir": "/var/lib/docker",
            "agentEnvVars": [{"name": "HTTP_PROXY", "value": "http://p"}], "importedConfig": {"privateRegistryURL": "r:5000"},
        })
    );
    assert_eq!(
        stored["metadata"]["annotations"],
        json!({"field.cattle.io/creatorId": ADMIN})
    );
    assert_eq!(
        world.get(&format!("/v3/clusters/{id}")).await.json()["name"],
        "oracle1"
    );
}

#[tokio::test]
async fn a_new_cluster_shows_exactly_the_recorded_fields() {
    let world = World::new();
    let answer = world
        .post(
            "/v3/clusters",
            json!({"name": "oracle1", "description": "d", "labels": {"team": "a"}}),
        )
        .await;
    let cluster = answer.json();
    let shown: Vec<&str> = cluster
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        shown.join(" "),
        "actions annotations appliedEnableNetworkPolicy baseType created createdTS creatorId \
         defaultClusterRoleForProjectMembers description dockerRootDir enableNetworkPolicy id internal istioEnabled labels links linuxWorkerCount name nodeCount nodeVersion readyReconciling state transitioning transitioningMessage type \
         uuid windowsPreferedCluster windowsWorkerCount"
    );
}

#[tokio::test]
async fn a_change_merges_and_is_tried_again() {
    let world = World::new();
    let path = format!("{MANAGEMENT}/clusters/c-1");
    world.store.put(
        &path,
        json!({
            "metadata": {"labels": {"cattle.io/creator": "norman", "team": "a"}, "finalizers": ["controller.cattle.io/x"]},
            "spec": {"displayName": "one", "description": "old", "unknownToUs": {"keep": true}},
            "status": {"driver": "imported"},
        }),
    );
    *world.store.conflicts.lock().unwrap() = 3;
    let answer = world
        .put(
            "/v3/clusters/c-1",
            json!({"name": "one", "description": "new", "labels": {"team": "b"}}),
        )
        .await;
    assert_eq!(
        (answer.status, answer.json()["description"].as_str()),
        (200, Some("new"))
    );
    let stored = world.store.get(&path).unwrap();
    assert_eq!(
        stored["spec"],
        json!({"displayName": "one", "description": "new", "unknownToUs": {"keep": true}})
    );
    assert_eq!(
        stored["metadata"]["labels"],
        json!({"cattle.io/creator": "norman", "team": "b"})
    );
    *world.store.conflicts.lock().unwrap() = 100;
    let lost = world.put("/v3/clusters/c-1", json!({"name": "one"})).await;
    assert_eq!(lost.error().1, "Conflict");
}

#[tokio::test]
async fn a_cluster_lingers_until_its_finalizers_are_gone() {
    let world = World::new();
    let path = format!("{MANAGEMENT}/clusters/c-1");
    world.store.put(&path, json!({"metadata": {"finalizers": ["controller.cattle.io/mgmt-cluster-rbac-remove"]}, "spec": {"displayName": "one"}}));
    let going = world.delete("/v3/clusters/c-1").await;
    assert_eq!(going.status, 200);
    let going = going.json();
    assert_eq!(
        (
            going["state"].as_str(),
            going["transitioning"].as_str(),
            going["transitioningMessage"].as_str()
        ),
        (
            Some("removing"),
            Some("yes"),
            Some("waiting on mgmt-cluster-rbac-remove")
        )
    );
    assert_eq!(going["removedTS"], json!(1_795_209_722_000_i64));
    world
        .store
        .put(&path, json!({"spec": {"displayName": "one"}}));
    let gone = world.delete("/v3/clusters/c-1").await;
    assert_eq!((gone.status, gone.bytes.len()), (204, 0));
    assert_eq!(world.delete("/v3/clusters/c-1").await.error().0, 404);

    world.store.put(
        &format!("{MANAGEMENT}/clusters/local"),
        json!({"spec": {"displayName": "local", "internal": true}}),
    );
    assert_eq!(
        world.get("/v3/clusters/local").await.json()["links"].get("remove"),
        None
    );
    assert_eq!(world.delete("/v3/clusters/local").await.error().0, 405);
}

#[tokio::test]
async fn what_hangs_on_a_cluster_is_listed_below_it() {
    let world = World::new();
    for cluster in ["c-1", "c-2"] {
        world.store.put(
            &format!("{MANAGEMENT}/clusters/{cluster}"),
            json!({"spec": {"displayName": cluster}}),
        );
        world.store.put(
            &format!("{MANAGEMENT}/namespaces/{cluster}/clusterregistrationtokens/default-token"),
            json!({"spec": {"clusterName": cluster}, "status": {"command": "kubectl apply -f https://s/v3/import/{token}_x.yaml"}}),
        );
        world.store.put(
            &format!("{MANAGEMENT}/namespaces/{cluster}/projects/p-{cluster}"),
            json!({"spec": {"displayName": "Default", "clusterName": cluster}}),
        );
    }
    let token = base64::engine::general_purpose::STANDARD.encode("tok");
    world.store.put(
        "/api/v1/namespaces/c-1/secrets/crt-token-default-token",
        json!({"data": {"token": token}}),
    );

    let all = world.get("/v3/clusterregistrationtokens").await;
    assert_eq!(all.ids(), ["c-1:default-token", "c-2:default-token"]);
    for url in [
        "/v3/clusterregistrationtokens?clusterId=c-1",
        "/v3/clusters/c-1/clusterregistrationtokens",
        "/v3/cluster/c-1/ClusterRegistrationTokens",
    ] {
        let list = world.get(url).await;
        assert_eq!(list.ids(), ["c-1:default-token"], "{url}");
        assert_eq!(
            list.header("x-api-schemas"),
            "https://server.example:8443/v3/schemas"
        );
        let list = list.json();
        assert_eq!(
            list["data"][0]["command"],
            "kubectl apply -f https://s/v3/import/tok_x.yaml"
        );
        assert_eq!(
            list["createTypes"]["clusterRegistrationToken"],
            "https://server.example:8443/v3/clusterregistrationtokens"
        );
    }
    assert_eq!(
        world
            .get("/v3/clusterregistrationtokens/c-2:default-token")
            .await
            .json()["command"],
        "",
        "the Secret is missing"
    );
    assert_eq!(
        world
            .get("/v3/projects?clusterId=c-2&name=Default")
            .await
            .ids(),
        ["c-2:p-c-2"]
    );
    assert_eq!(world.get("/v3/projects?ProjectID=x").await.ids().len(), 2);

    let elsewhere = world.get("/v3/clusters/c-1/projects/c-2:p-c-2").await;
    assert_eq!((elsewhere.status, elsewhere.json()), (200, Value::Null));
    assert_eq!(
        world
            .delete("/v3/clusters/c-1/projects/c-2:p-c-2")
            .await
            .error()
            .0,
        404
    );
    assert_eq!(
        world
            .get("/v3/clusters/c-1/projects/c-1:p-c-1")
            .await
            .json()["name"],
        "Default"
    );
    assert_eq!(world.get("/v3/clusters/c-1/nope").await.error().0, 404);

    let made = world
        .post(
            "/v3/clusterregistrationtokens",
            json!({"clusterId": "c-1", "name": "mine"}),
        )
        .await;
    assert_eq!(
        (made.status, made.json()["id"].as_str()),
        (201, Some("c-1:mine"))
    );
    assert_eq!(
        world
            .post("/v3/clusterregistrationtokens", json!({"clusterId": "c-9"}))
            .await
            .error()
            .0,
        404
    );
    assert_eq!(
        world
            .post(
                "/v3/clusterregistrationtokens",
                json!({"clusterId": "../x"})
            )
            .await
            .error()
            .1,
        "InvalidReference"
    );
}

#[tokio::test]
async fn a_kubeconfig_names_the_ways_to_a_clusters_own_endpoint() {
    let world = World::new();
    world.store.put(
        &format!("{MANAGEMENT}/clusters/c-1"),
        json!({
            "spec": {"displayName": "one", "localClusterAuthEndpoint": {"enabled": true}},
            "status": {"caCert": "Y2E="},
        }),
    );
    world.store.put(
        &format!("{MANAGEMENT}/namespaces/c-1/nodes/machine-1"),
        json!({
            "spec": {"requestedHostname": "leader", "controlPlane": true},
            "status": {"internalNodeStatus": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}},
        }),
    );
    let answer = world
        .post("/v3/clusters/c-1?action=generateKubeconfig", json!({}))
        .await;
    assert_eq!(answer.status, 200);
    let config: Value = serde_saphyr::from_str(answer.json()["config"].as_str().unwrap()).unwrap();
    assert_eq!(
        config["clusters"][1],
        json!({"name": "one-leader", "cluster": {
            "server": "https://10.0.0.1:6443", "certificate-authority-data": "Y2E=",
        }})
    );
    assert_eq!(config["contexts"][1]["context"]["user"], "one");
    assert_eq!(config["current-context"], "one");
    let bearer = config["users"][0]["user"]["token"].as_str().unwrap();
    let name = bearer.split(':').next().unwrap();
    let token = world.store.get(&format!("{MANAGEMENT}/tokens/{name}"));
    assert_eq!(token.unwrap()["clusterName"], "c-1", "good for it only");
}

#[tokio::test]
async fn an_endpoint_that_cannot_work_is_refused_by_its_field() {
    let world = World::new();
    let cluster = |endpoint: Value| json!({"name": "one", "localClusterAuthEndpoint": endpoint});
    let without_name = json!({"enabled": true, "caCerts": "ca"});
    let refused = world
        .post("/v3/clusters", cluster(without_name))
        .await
        .error();
    assert_eq!(refused.1, "MissingRequired");
    let with_scheme = json!({"enabled": true, "fqdn": "https://one.example"});
    let refused = world
        .post("/v3/clusters", cluster(with_scheme))
        .await
        .error();
    assert_eq!(refused.1, "InvalidFormat");
}

#[tokio::test]
async fn a_kubeconfig_names_the_server_and_holds_a_token() {
    let world = World::new();
    world.store.put(
        &format!("{MANAGEMENT}/clusters/c-1"),
        json!({"spec": {"displayName": "one"}}),
    );
    let answer = world
        .post("/v3/clusters/c-1?action=generateKubeconfig", json!({}))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["type"], "generateKubeConfigOutput");
    let config: Value = serde_saphyr::from_str(answer.json()["config"].as_str().unwrap()).unwrap();
    assert_eq!(config["clusters"][0]["name"], "one");
    assert_eq!(
        config["clusters"][0]["cluster"]["server"],
        "https://server.example:8443/k8s/clusters/c-1"
    );
    assert!(
        config["users"][0]["user"]["token"]
            .as_str()
            .unwrap()
            .starts_with("kubeconfig-")
    );

    let imported = world
        .post(
            "/v3/clusters/c-1?action=importYaml",
            json!({"yaml": "a: 1"}),
        )
        .await
        .json();
    assert_eq!(
        imported["message"],
        format!("{ADMIN} imports 4 bytes into c-1")
    );
    assert_eq!(
        world
            .post("/v3/clusters/c-1?action=importYaml", json!({}))
            .await
            .error()
            .1,
        "MissingRequired"
    );
    assert_eq!(
        world
            .post("/v3/clusters/c-9?action=generateKubeconfig", json!({}))
            .await
            .error()
            .0,
        404
    );
}

#[tokio::test]
async fn others_see_only_what_their_rules_give() {
    let world = World::new();
    for cluster in ["c-1", "c-2"] {
        world.store.put(
            &format!("{MANAGEMENT}/clusters/{cluster}"),
            json!({"spec": {"displayName": cluster}}),
        );
        world.store.put(
            &format!("{MANAGEMENT}/namespaces/{cluster}/nodes/m-1"),
            json!({"spec": {}}),
        );
    }
    let jane = |method: &'static str, url: &'static str, body: &'static str| {
        world.send(
            Some("u-jane"),
            method,
            url,
            &[("content-type", "application/json")],
            body.as_bytes(),
        )
    };
    assert_eq!(
        jane("GET", "/v3/clusters", "").await.ids(),
        Vec::<String>::new()
    );
    let refused = jane("GET", "/v3/clusters/c-1", "").await;
    assert_eq!(refused.error().1, "Forbidden");
    assert_eq!(
        refused.json()["message"],
        "clusters.management.cattle.io \"c-1\" is forbidden: User \"u-jane\" cannot get resource \"clusters\" in API group \"management.cattle.io\" at the cluster scope"
    );
    assert_eq!(
        jane("GET", "/v3/clusters/c-none", "").await.error().0,
        403,
        "absent or not, it is not theirs to know"
    );
    assert_eq!(
        jane("POST", "/v3/clusters", "{\"name\":\"mine\"}")
            .await
            .error()
            .0,
        403
    );
    assert_eq!(
        jane("POST", "/v3/clusters/c-1?action=generateKubeconfig", "{}")
            .await
            .error()
            .0,
        403
    );

    world.grant("u-jane", "get", "clusters", "*", "c-1");
    world.grant("u-jane", "list", "nodes", "c-1", "*");
    assert_eq!(jane("GET", "/v3/clusters", "").await.ids(), ["c-1"]);
    assert_eq!(jane("GET", "/v3/nodes", "").await.ids(), ["c-1:m-1"]);
    let cluster = jane("GET", "/v3/clusters/c-1", "").await.json();
    assert_eq!(
        (
            cluster["links"].get("update"),
            cluster["links"].get("remove")
        ),
        (None, None)
    );
    for (method, url) in [
        ("PUT", "/v3/clusters/c-1"),
        ("DELETE", "/v3/clusters/c-1"),
        ("PUT", "/v3/clusters/c-2"),
    ] {
        assert_eq!(
            jane(method, url, "{\"name\":\"x\"}").await.error().0,
            403,
            "{method} {url}"
        );
    }
    assert_eq!(
        world
            .store
            .get(&format!("{MANAGEMENT}/clusters/c-1"))
            .unwrap()["spec"]["displayName"],
        "c-1"
    );
}
