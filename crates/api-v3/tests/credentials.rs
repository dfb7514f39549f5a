//! Cloud credentials and templates of pod security: whose they are, what is refused, what is never shown.

#[cfg(test)]
mod reached;

use std::time::Duration;

use drover_types::management::{GlobalRoleBinding, PodSecurityAdmissionConfigurationTemplate};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use reached::{World, names};
use serde_json::{Value, json};

const AT: &str = "/v3/cloudCredentials";
const KEY: &str = "never-to-be-shown";
const PATIENCE: Duration = Duration::from_secs(20);

/// Gives somebody the role that people have.
async fn enlist(world: &World, user: &str) {
    let bindings: kube::Api<GlobalRoleBinding> = kube::Api::all(world.hub.clone());
    let mut binding = GlobalRoleBinding::named(&format!("grb-{user}"));
    user.clone_into(&mut binding.user_name);
    "user".clone_into(&mut binding.global_role_name);
    let made = bindings.create(&PostParams::default(), &binding).await;
    made.expect("it is taken");
    // It is known when a body without a configuration is looked at.
    let known = async {
        while world.send(user, "POST", AT, json!({})).await.0 == 403 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, known)
        .await
        .expect("the binding is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloud_credentials_belong_to_who_made_them_and_show_no_secret() {
    let world = World::start().await;
    let body = json!({
        "type": "cloudCredential", "name": "backups", "description": "d",
        "s3credentialConfig": {"accessKey": "AK", "secretKey": KEY, "defaultBucket": "b"},
    });
    assert_eq!(world.send("owner", "POST", AT, body.clone()).await.0, 403);
    enlist(&world, "owner").await;
    let (status, error) = world.send("owner", "POST", AT, json!({"name": "x"})).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("MissingRequired"))
    );
    let incomplete = json!({"s3credentialConfig": {"accessKey": "AK"}});
    let (status, error) = world.send("owner", "POST", AT, incomplete).await;
    assert_eq!(
        (status, error["code"].as_str()),
        (422, Some("MissingRequired")),
        "{error}"
    );

    let (status, made) = world.send("owner", "POST", AT, body).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let name = id
        .strip_prefix("cattle-global-data:")
        .expect("its namespace");
    assert!(name.starts_with("cc-"), "{id}");
    for (field, value) in [
        ("name", json!("backups")),
        ("description", json!("d")),
        ("creatorId", json!("owner")),
        ("annotations", json!({})),
        (
            "s3credentialConfig",
            json!({"accessKey": "AK", "defaultBucket": "b"}),
        ),
    ] {
        assert_eq!(made[field], value, "{field}: {made}");
    }
    let own = format!("{AT}/{id}");
    let (status, changed) = world
        .send("owner", "PUT", &own, json!({"description": "e"}))
        .await;
    assert_eq!(
        (status, changed["description"].as_str()),
        (200, Some("e")),
        "{changed}"
    );
    let secrets: kube::Api<Secret> = kube::Api::namespaced(world.hub.clone(), "cattle-global-data");
    let data = secrets
        .get(name)
        .await
        .expect("it is there")
        .data
        .expect("data");
    assert_eq!(data["s3credentialConfig-secretKey"].0, KEY.as_bytes());
    let (_, read) = world.send("owner", "GET", &own, Value::Null).await;
    let (_, list) = world.send("owner", "GET", AT, Value::Null).await;
    assert_eq!(names(&list), [id.as_str()]);
    // Which fields of a driver without a declaration are secret is not known.
    let other = json!({"name": "h", "harvestercredentialConfig": {"kubeconfigContent": KEY}});
    let (status, other) = world.send("owner", "POST", AT, other).await;
    assert_eq!(
        (status, &other["harvestercredentialConfig"]),
        (201, &json!({}))
    );
    for answer in [&made, &changed, &read, &list, &other] {
        assert!(!answer.to_string().contains(KEY), "{answer}");
    }

    enlist(&world, "member").await;
    let (_, list) = world.send("member", "GET", AT, Value::Null).await;
    assert_eq!(names(&list), Vec::<&str>::new());
    for (method, body) in [
        ("GET", Value::Null),
        ("PUT", json!({"description": "mine"})),
        ("DELETE", Value::Null),
    ] {
        let (status, _) = world.send("member", method, &own, body.clone()).await;
        assert_eq!(status, 403, "{method}");
        let (status, _) = world.send("", method, &own, body).await;
        assert_eq!(status, 401, "{method}");
    }
    for method in ["GET", "POST"] {
        let (status, _) = world.send("", method, AT, json!({})).await;
        assert_eq!(status, 401, "{method}");
    }
    // Other Secrets of that namespace, and of other ones, are no credentials.
    for id in [
        "cattle-global-data:nothing",
        "cattle-system:bootstrap-secret",
    ] {
        let (status, _) = world
            .send("owner", "GET", &format!("{AT}/{id}"), Value::Null)
            .await;
        assert!(matches!(status, 403 | 404), "{id}");
    }
    assert_eq!(
        world.send("owner", "DELETE", &own, Value::Null).await.0,
        204
    );
    assert!(secrets.get_opt(name).await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_of_pod_security_are_read_by_people_and_built_in_ones_stay() {
    let world = World::start().await;
    let at = "/v3/podSecurityAdmissionConfigurationTemplates";
    enlist(&world, "owner").await;
    let (status, list) = world.send("owner", "GET", at, Value::Null).await;
    assert_eq!(
        (status, names(&list)),
        (200, vec!["rancher-privileged", "rancher-restricted"])
    );
    let strict = format!("{at}/rancher-restricted");
    let (_, read) = world.send("owner", "GET", &strict, Value::Null).await;
    assert_eq!(read["configuration"]["defaults"]["enforce"], "restricted");
    let body = json!({"name": "t", "configuration": {"defaults": {"enforce": "baseline"}}});
    assert_eq!(world.send("owner", "POST", at, body.clone()).await.0, 403);
    let templates: kube::Api<PodSecurityAdmissionConfigurationTemplate> =
        kube::Api::all(world.hub.clone());
    assert_eq!(
        templates
            .list(&Default::default())
            .await
            .expect("a list")
            .items
            .len(),
        2
    );
    assert_eq!(
        world.send("owner", "DELETE", &strict, Value::Null).await.0,
        403
    );
}
