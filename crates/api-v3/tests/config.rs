//! What lies in projects and clusters: configuration, secrets, storage; read and written in the cluster as the caller.

#[cfg(test)]
mod reached;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use reached::{World, names};
use serde_json::{Value, json};

const P1: &str = "/v3/project/c-1:p-1";

/// Takes out what differs from run to run, and checks that it was there.
fn steady(mut item: Value) -> Value {
    let fields = item.as_object_mut().expect("a resource");
    for name in ["created", "createdTS", "uuid"] {
        assert!(fields.remove(name).is_some(), "no {name}");
    }
    item
}

fn links(kind: &str, id: &str, yaml: bool) -> Value {
    let own = format!("https://drover.example{P1}/{kind}/{id}");
    let mut links = json!({"self": own, "update": own, "remove": own});
    if yaml {
        links["yaml"] = json!(format!("{own}/yaml"));
    }
    links
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_shown_as_recorded() {
    let world = World::start().await;
    // `recorded/http/10`, with the names of the test's world.
    let post = async |kind: &str, body: Value| {
        let (status, made) = world
            .send("owner", "POST", &format!("{P1}/{kind}"), body)
            .await;
        assert_eq!(status, 201, "{made}");
        steady(made)
    };
    assert_eq!(
        post(
            "secrets",
            json!({"type": "secret", "name": "proj", "stringData": {"k": "v"}})
        )
        .await,
        json!({
            "annotations": {}, "baseType": "secret", "creatorId": "owner", "data": {"k": "dg=="}, "id": "p-1:proj",
            "kind": "Opaque", "labels": {"cattle.io/creator": "norman"}, "links": links("secrets", "p-1:proj", false),
            "name": "proj", "namespaceId": null, "projectId": "c-1:p-1", "type": "secret",
        })
    );
    assert_eq!(
        post(
            "namespacedSecrets",
            json!({"name": "ns", "namespaceId": "mine", "stringData": {"k": "v"}, "description": "d"})
        )
        .await,
        json!({
            "annotations": {}, "baseType": "namespacedSecret", "creatorId": "owner", "data": {"k": "dg=="},
            "description": "d", "id": "mine:ns", "kind": "Opaque", "labels": {"cattle.io/creator": "norman"},
            "links": links("namespacedSecrets", "mine:ns", true), "name": "ns", "namespaceId": "mine",
            "projectId": "c-1:p-1", "type": "namespacedSecret",
        })
    );
    let registries = json!({"r.example": {"username": "u", "password": "p"}});
    let made = post(
        "namespacedDockerCredentials",
        json!({"name": "reg", "namespaceId": "mine", "registries": registries}),
    )
    .await;
    assert_eq!(
        (&made["type"], &made["baseType"], &made["registries"]),
        (
            &json!("namespacedDockerCredential"),
            &json!("namespacedSecret"),
            &json!({"r.example": {"username": "u", "password": "p", "auth": "dTpw"}})
        )
    );
    let made = post(
        "basicAuths",
        json!({"name": "ba", "username": "u", "password": "p"}),
    )
    .await;
    assert_eq!(
        (&made["password"], &made["id"]),
        (&json!("p"), &json!("p-1:ba"))
    );
    post("sshAuths", json!({"name": "sa", "privateKey": "x"})).await;

    // Lists show each as what it holds, and no password, key or token.
    let (_, list) = world
        .send("owner", "GET", &format!("{P1}/secrets"), Value::Null)
        .await;
    let kinds: Vec<&str> = list["data"]
        .as_array()
        .expect("data")
        .iter()
        .map(|item| item["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(names(&list), ["p-1:ba", "p-1:proj", "p-1:sa"]);
    assert_eq!(kinds, ["basicAuth", "secret", "sshAuth"]);
    assert_eq!(
        list["createTypes"]["secret"],
        format!("https://drover.example{P1}/secrets")
    );
    let (_, list) = world
        .send(
            "owner",
            "GET",
            &format!("{P1}/namespacedSecrets?namespaceId=mine"),
            Value::Null,
        )
        .await;
    assert_eq!(names(&list), ["mine:ns", "mine:reg"]);
    assert_eq!(
        list["data"][1]["registries"],
        json!({"r.example": {"username": "u"}})
    );
    for hidden in ["password", "privateKey"] {
        assert!(!list.to_string().contains(hidden), "{list}");
    }
    let secrets: kube::Api<Secret> = kube::Api::namespaced(world.reach.whole(), "mine");
    let stored = secrets.get("reg").await.expect("it is in the cluster");
    assert_eq!(
        stored.type_.as_deref(),
        Some("kubernetes.io/dockerconfigjson")
    );
    let backing: kube::Api<Secret> = kube::Api::namespaced(world.hub.clone(), "c-1-p-1");
    backing.get("proj").await.expect("it is on the hub");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_say_what_they_are() {
    let world = World::start().await;
    let made =
        rcgen::generate_simple_self_signed(["web.example".to_owned()]).expect("a certificate");
    let body = json!({
        "name": "cert", "namespaceId": "mine", "certs": made.cert.pem(), "key": made.signing_key.serialize_pem(),
    });
    let at = format!("{P1}/namespacedCertificates");
    let (status, shown) = world.send("owner", "POST", &at, body).await;
    assert_eq!(status, 201, "{shown}");
    assert_eq!(shown["subjectAlternativeNames"], json!(["web.example"]));
    assert_eq!(
        (&shown["version"], &shown["algorithm"]),
        (&json!("3"), &json!("ECDSA"))
    );
    assert_eq!(shown["certFingerprint"].as_str().map(str::len), Some(59));
    assert!(shown.get("key").is_some());
    let (_, again) = world
        .send("owner", "GET", &format!("{at}/mine:cert"), Value::Null)
        .await;
    assert!(again.get("key").is_none(), "{again}");
    let (status, error) = world
        .send(
            "owner",
            "POST",
            &at,
            json!({"name": "x", "namespaceId": "mine", "certs": "hello", "key": "k"}),
        )
        .await;
    let refused = (422, Some("InvalidBodyContent"), Some("certs"));
    assert_eq!(
        (status, error["code"].as_str(), error["fieldName"].as_str()),
        refused
    );
    // Old ones, without extensions, are certificates too.
    let old = include_str!("data/certificate-v1.pem");
    let (certs, key) = old.split_at(old.find("-----BEGIN PRIVATE").expect("a key"));
    let body = json!({"name": "old", "namespaceId": "mine", "certs": certs, "key": key});
    let (status, shown) = world.send("owner", "POST", &at, body).await;
    assert_eq!((status, &shown["version"]), (201, &json!("1")), "{shown}");
    // A change is looked at like a new one, together with what stays.
    let other =
        rcgen::generate_simple_self_signed(["web.example".to_owned()]).expect("a certificate");
    let unread = made.cert.pem().replace("MII", "AAA");
    for certs in ["hello", &unread, &other.cert.pem()] {
        let (status, error) = world
            .send(
                "owner",
                "PUT",
                &format!("{at}/mine:cert"),
                json!({"certs": certs}),
            )
            .await;
        assert_eq!(
            (status, error["code"].as_str(), error["fieldName"].as_str()),
            refused,
            "{error}"
        );
        assert!(!error.to_string().contains("PRIVATE KEY"));
    }
    let both = json!({"certs": other.cert.pem(), "key": other.signing_key.serialize_pem()});
    let (status, changed) = world
        .send("owner", "PUT", &format!("{at}/mine:cert"), both)
        .await;
    assert_eq!((status, changed.get("key")), (200, None), "{changed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn config_maps_and_claims_are_changed_in_their_namespace() {
    let world = World::start().await;
    let at = format!("{P1}/configMaps");
    let body =
        json!({"type": "configMap", "name": "cm", "namespaceId": "mine", "data": {"a": "b"}});
    let (status, made) = world.send("member", "POST", &at, body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        steady(made),
        json!({
            "annotations": {}, "baseType": "configMap", "creatorId": "member", "data": {"a": "b"}, "id": "mine:cm",
            "labels": {"cattle.io/creator": "norman"}, "links": links("configMaps", "mine:cm", true), "name": "cm",
            "namespaceId": "mine", "projectId": "c-1:p-1", "type": "configMap",
        })
    );
    let one = format!("{at}/mine:cm");
    let (status, changed) = world
        .send("member", "PUT", &one, json!({"data": {"a": "c"}}))
        .await;
    assert_eq!((status, &changed["data"]), (200, &json!({"a": "c"})));
    let (_, list) = world.send("member", "GET", &at, Value::Null).await;
    assert_eq!(names(&list), ["mine:cm", "mine:kube-root-ca.crt"]);
    let (status, _) = world
        .send("member", "GET", &format!("{one}/yaml"), Value::Null)
        .await;
    assert_eq!(status, 200);
    let (status, _) = world
        .send("member", "GET", &format!("{one}/nothing"), Value::Null)
        .await;
    assert_eq!(status, 404);
    let (status, _) = world.send("member", "DELETE", &one, Value::Null).await;
    assert_eq!(status, 204);
    let (status, _) = world.send("member", "GET", &one, Value::Null).await;
    assert_eq!(status, 404);

    let body = json!({
        "name": "pvc", "namespaceId": "mine", "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}, "storageClassId": "",
    });
    let at = format!("{P1}/persistentVolumeClaims");
    let (status, made) = world.send("member", "POST", &at, body).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        made["resources"],
        json!({"requests": {"storage": "1Gi"}, "type": "/v3/project/schemas/volumeResourceRequirements"})
    );
    assert_eq!(
        (
            &made["storageClassId"],
            &made["volumeId"],
            &made["volumeMode"]
        ),
        (&json!(""), &Value::Null, &json!("Filesystem"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_s_storage_is_its_owner_s() {
    let world = World::start().await;
    let at = "/v3/clusters/c-1/storageClasses";
    let body = json!({
        "type": "storageClass", "name": "sc", "provisioner": "kubernetes.io/no-provisioner",
        "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    });
    let (status, made) = world.send("owner", "POST", at, body.clone()).await;
    assert_eq!(status, 201, "{made}");
    let own = "https://drover.example/v3/cluster/c-1/storageClasses/sc";
    assert_eq!(
        made["links"],
        json!({
            "self": own, "update": own, "remove": own,
            "persistentVolumes": "https://drover.example/v3/cluster/c-1/persistentVolumes?storageClassId=sc",
        })
    );
    let volume = json!({
        "name": "pv", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassId": "sc",
        "hostPath": {"path": "/tmp/pv", "kind": "DirectoryOrCreate"},
    });
    let (status, made) = world
        .send(
            "owner",
            "POST",
            "/v3/clusters/c-1/persistentVolumes",
            volume,
        )
        .await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(
        made["hostPath"],
        json!({"path": "/tmp/pv", "kind": "DirectoryOrCreate", "type": "/v3/cluster/schemas/hostPathVolumeSource"})
    );
    let (status, _) = world.send("member", "POST", at, body).await;
    assert_eq!(status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reaches_what_is_not_theirs() {
    let world = World::start().await;
    let body = |name: &str, namespace: &str| json!({"name": name, "namespaceId": namespace, "data": {"k": STANDARD.encode("v")}});
    let at = format!("{P1}/namespacedSecrets");
    // Another namespace than the project's, even for who owns all of the cluster.
    let (status, error) = world.send("owner", "POST", &at, body("s", "other")).await;
    assert_eq!(
        (status, error["code"].as_str(), error["fieldName"].as_str()),
        (422, Some("InvalidReference"), Some("namespaceId"))
    );
    let (status, error) = world.send("owner", "POST", &at, json!({"name": "s"})).await;
    assert_eq!(
        (status, error["fieldName"].as_str()),
        (422, Some("namespaceId"))
    );
    let (status, _) = world
        .send("owner", "GET", &format!("{at}/other:s"), Value::Null)
        .await;
    assert_eq!(status, 404);
    // A project somebody has no part in, by any route and verb.
    for kind in [
        "secrets",
        "namespacedSecrets",
        "dockerCredentials",
        "namespacedDockerCredentials",
        "certificates",
        "namespacedCertificates",
        "basicAuths",
        "namespacedBasicAuths",
        "sshAuths",
        "namespacedSshAuths",
        "serviceAccountTokens",
        "namespacedServiceAccountTokens",
        "configMaps",
        "persistentVolumeClaims",
        "workloads",
        "deployments",
        "daemonSets",
        "statefulSets",
        "jobs",
        "cronJobs",
        "replicaSets",
        "replicationControllers",
        "pods",
    ] {
        for (method, path) in [
            ("GET", format!("/v3/project/c-1:p-2/{kind}")),
            ("POST", format!("/v3/project/c-1:p-2/{kind}")),
            ("GET", format!("/v3/project/c-1:p-2/{kind}/p-2:x")),
            ("PUT", format!("/v3/project/c-1:p-2/{kind}/p-2:x")),
            ("DELETE", format!("/v3/project/c-1:p-2/{kind}/p-2:x")),
        ] {
            let body = if method == "GET" {
                Value::Null
            } else {
                json!({"name": "x"})
            };
            let (status, answer) = world.send("member", method, &path, body.clone()).await;
            assert_eq!(status, 403, "{method} {path}: {answer}");
            let (status, _) = world.send("", method, &path, body).await;
            assert_eq!(status, 401, "{method} {path}");
        }
    }
    for kind in ["storageClasses", "persistentVolumes"] {
        for (method, path) in [
            ("PUT", format!("/v3/cluster/c-1/{kind}/x")),
            ("DELETE", format!("/v3/cluster/c-1/{kind}/x")),
        ] {
            let (status, answer) = world
                .send("member", method, &path, json!({"name": "x"}))
                .await;
            assert!(matches!(status, 403 | 404), "{method} {path}: {answer}");
        }
    }
    let (status, _) = world
        .send(
            "owner",
            "POST",
            &format!("{at}/mine:x?action=zzz"),
            json!({}),
        )
        .await;
    assert_eq!(status, 422);
}
