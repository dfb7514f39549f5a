//! The end of a user.

use drover_types::management::{
    ClusterRoleTemplateBinding, GlobalRoleBinding, Preference, ProjectRoleTemplateBinding, Token,
    User, UserAttribute,
};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::DeleteParams;
use kube::{Api, Resource, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{World, until};

/// Makes one object for each user, named after it.
async fn give<K>(world: &World, api: Api<K>, object: impl Fn(&str) -> Value)
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + serde::Serialize,
{
    for user in ["u-goes", "u-stays"] {
        world.create(api.clone(), object(user)).await;
    }
}

/// Whether exactly what the user held that goes is gone.
async fn is_gone<K>(api: &Api<K>, prefix: &str) -> bool
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let there = async |user: &str| {
        api.get_opt(&format!("{prefix}{user}"))
            .await
            .unwrap()
            .is_some()
    };
    assert!(there("u-stays").await, "another's {prefix} is gone");
    !there("u-goes").await
}

fn of<K>(world: &World, namespace: &str) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(world.hub.clone(), namespace)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_user_held_goes_with_it() {
    let world = World::start().await;
    let client = || world.hub.clone();
    let own = json!({ "management.cattle.io/system-namespace": "true" });
    for name in [
        "c-1",
        "c-1-p-1",
        "cattle-tokens",
        "cattle-local-user-passwords",
        "u-goes",
        "u-stays",
    ] {
        let namespace = json!({ "metadata": { "name": name, "annotations": own } });
        world
            .create(Api::<Namespace>::all(client()), namespace)
            .await;
    }
    let users = Api::<User>::all(client());
    give(
        &world,
        users.clone(),
        |user| json!({ "metadata": { "name": user }, "username": user }),
    )
    .await;
    let named = |prefix: &str, user: &str| json!({ "name": format!("{prefix}{user}") });
    let global = Api::<GlobalRoleBinding>::all(client());
    give(&world, global.clone(), |user| {
        json!({ "metadata": named("g-", user), "globalRoleName": "admin", "userName": user })
    })
    .await;
    let cluster = of::<ClusterRoleTemplateBinding>(&world, "c-1");
    give(&world, cluster.clone(), |user| {
        let principal = format!("local://{user}");
        json!({ "metadata": named("c-", user), "roleTemplateName": "cluster-owner", "clusterName": "c-1", "userPrincipalName": principal })
    })
    .await;
    let project = of::<ProjectRoleTemplateBinding>(&world, "c-1-p-1");
    give(&world, project.clone(), |user| {
        json!({ "metadata": named("p-", user), "roleTemplateName": "project-owner", "projectName": "c-1:p-1", "userName": user })
    })
    .await;
    let tokens = Api::<Token>::all(client());
    give(
        &world,
        tokens.clone(),
        |user| json!({ "metadata": named("token-", user), "userId": user }),
    )
    .await;
    let owned = |user: &str| json!({ "name": format!("ext-{user}"), "labels": { "cattle.io/user-id": user, "cattle.io/kind": "token" } });
    let ext = of::<Secret>(&world, "cattle-tokens");
    give(
        &world,
        ext.clone(),
        |user| json!({ "metadata": owned(user) }),
    )
    .await;
    let kubeconfigs = of::<ConfigMap>(&world, "cattle-tokens");
    give(
        &world,
        kubeconfigs.clone(),
        |user| json!({ "metadata": owned(user) }),
    )
    .await;
    let passwords = of::<Secret>(&world, "cattle-local-user-passwords");
    give(
        &world,
        passwords.clone(),
        |user| json!({ "metadata": named("", user) }),
    )
    .await;
    let attributes = Api::<UserAttribute>::all(client());
    give(
        &world,
        attributes.clone(),
        |user| json!({ "metadata": named("", user) }),
    )
    .await;
    let preference = json!({ "metadata": { "name": "theme" }, "value": "dark" });
    for user in ["u-goes", "u-stays"] {
        world
            .create(of::<Preference>(&world, user), preference.clone())
            .await;
    }

    until("the users to be held", || async {
        let user = users.get("u-goes").await.unwrap();
        (!user.finalizers().is_empty()).then_some(())
    })
    .await;
    users
        .delete("u-goes", &DeleteParams::default())
        .await
        .unwrap();
    until("the user to be gone", || async {
        users
            .get_opt("u-goes")
            .await
            .unwrap()
            .is_none()
            .then_some(())
    })
    .await;
    // What it held went before it.
    assert!(is_gone(&global, "g-").await);
    assert!(is_gone(&cluster, "c-").await);
    assert!(is_gone(&project, "p-").await);
    assert!(is_gone(&tokens, "token-").await);
    assert!(is_gone(&ext, "ext-").await);
    assert!(is_gone(&kubeconfigs, "ext-").await);
    assert!(is_gone(&passwords, "").await);
    assert!(is_gone(&attributes, "").await);
    let left = of::<Preference>(&world, "u-goes").get_opt("theme").await;
    assert!(left.unwrap().is_none());
    until("the user's namespace to be gone", || async {
        is_gone(&Api::<Namespace>::all(client()), "")
            .await
            .then_some(())
    })
    .await;
}
