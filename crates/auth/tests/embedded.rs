//! The parts together on the embedded Kubernetes API: first start, login, authenticated requests, revocation.

#![cfg(test)]

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use drover_auth::bootstrap::Outcome;
use drover_auth::logins::{Credentials, Purpose};
use drover_auth::{Auth, Clock, ClustersVisible, Config, Entropy, Identity};
use drover_kube_api::{Server, Storage};
use drover_types::management::{Cluster, ClusterRoleTemplateBinding, User};
use http::request::Parts;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use secrecy::ExposeSecret;
use serde_json::json;

async fn in_time<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("it did not happen in time")
}

/// A store with all kinds, as the server installs them.
async fn store() -> (Server, Client) {
    let server = Server::open(drover_kube_api::Config::new(Storage::Memory))
        .await
        .unwrap();
    let client = Client::new(
        server.client_service(drover_kube_api::Identity::admin()),
        "default",
    );
    let kinds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for kind in drover_types::crds::all() {
        kinds.create(&PostParams::default(), &kind).await.unwrap();
    }
    let users: Api<User> = Api::all(client.clone());
    in_time(async {
        while users.list(&Default::default()).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    (server, client)
}

fn request(bearer: &str) -> Parts {
    let request = http::Request::builder()
        .uri("/v3/clusters")
        .header("authorization", format!("Bearer {bearer}"));
    request.body(()).unwrap().into_parts().0
}

async fn login(auth: &Auth, username: &str, password: &str) -> (String, Identity) {
    let credentials = Credentials {
        username: username.to_owned(),
        password: password.into(),
        remote: None,
    };
    let issued = auth
        .logins
        .login(&credentials, &Purpose::Session, "")
        .await
        .unwrap();
    let bearer = issued.bearer.expose_secret().to_owned();
    let identity = auth
        .authenticator
        .authenticate(&request(&bearer))
        .await
        .unwrap()
        .unwrap();
    (bearer, identity)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_first_start_to_a_revoked_session() {
    let (server, client) = store().await;
    let (auth, driver, bootstrap) = Auth::new(Config {
        client: client.clone(),
        clock: Clock::system(),
        entropy: Entropy::system(),
        environment: BTreeMap::new(),
    });
    let outcome = bootstrap.run(None).await.unwrap();
    let Outcome::Created {
        admin,
        generated: Some(password),
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert!(matches!(
        bootstrap.run(None).await.unwrap(),
        Outcome::AlreadyDone
    ));
    let driver = tokio::spawn(driver.run());
    in_time(auth.ready()).await;

    let (_, root) = login(&auth, "admin", password.expose_secret()).await;
    assert_eq!(root.user, admin);
    assert_eq!(auth.access.clusters_visible(&root), ClustersVisible::All);
    assert_eq!(auth.settings.get("password-min-length"), "12");

    // A new user signs in at once, sees nothing, is given a cluster, sees it.
    let users: Api<User> = Api::all(client.clone());
    let mut jane = User::named("u-jane");
    jane.username = "jane".to_owned();
    users.create(&PostParams::default(), &jane).await.unwrap();
    let long = "a-long-password-1".into();
    auth.logins
        .set_password(&drover_auth::UserId::new("u-jane"), "jane", &long)
        .await
        .unwrap();
    let (bearer, jane) = login(&auth, "jane", "a-long-password-1").await;
    assert_eq!(
        auth.access.clusters_visible(&jane),
        ClustersVisible::These(vec![])
    );

    let clusters: Api<Cluster> = Api::all(client.clone());
    clusters
        .create(&PostParams::default(), &Cluster::named("c-1"))
        .await
        .unwrap();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": "c-1"}})).unwrap();
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .unwrap();
    let bindings: Api<ClusterRoleTemplateBinding> = Api::namespaced(client.clone(), "c-1");
    let mut binding = ClusterRoleTemplateBinding::named("crtb-1");
    binding.cluster_name = "c-1".to_owned();
    binding.role_template_name = "cluster-member".to_owned();
    binding.user_name = "u-jane".to_owned();
    let mut changes = auth.access.changes();
    bindings
        .create(&PostParams::default(), &binding)
        .await
        .unwrap();
    in_time(async {
        while auth.access.cluster_groups(&jane, "c-1").is_none() {
            changes.changed().await.unwrap();
        }
    })
    .await;
    assert_eq!(
        auth.access.cluster_groups(&jane, "c-1").unwrap(),
        ["drover:cluster-member"]
    );

    bindings
        .delete("crtb-1", &DeleteParams::default())
        .await
        .unwrap();
    in_time(async {
        while auth.access.cluster_groups(&jane, "c-1").is_some() {
            changes.changed().await.unwrap();
        }
    })
    .await;

    let disable = Patch::Merge(json!({"enabled": false}));
    users
        .patch("u-jane", &PatchParams::default(), &disable)
        .await
        .unwrap();
    in_time(auth.authenticator.revoked(&jane)).await;
    assert!(
        auth.authenticator
            .authenticate(&request(&bearer))
            .await
            .is_err()
    );

    driver.abort();
    server.shutdown().await;
}
