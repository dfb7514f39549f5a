//! kubectl shells: who may open one, what it holds, how it fails, and that nothing is left of it.
//!
//! The cluster here runs nothing; commands in a real pod are in the end-to-end tests.

#![cfg(test)]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{PATIENCE, Stream, World, put};
use drover_auth::Identity;
use drover_types::management::{ProjectRoleTemplateBinding, Token};
use futures::StreamExt as _;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Api, ResourceExt as _};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

const PATH: &str = "/v1/management.cattle.io.clusters/c-1?link=shell";
const SYSTEM: &str = "cattle-system";

async fn world() -> World {
    let world = World::start().await;
    put::<Namespace>(
        Api::all(world.cluster.clone()),
        json!({"metadata": {"name": SYSTEM}}),
    )
    .await;
    world
}

async fn with_node() -> World {
    let world = world().await;
    put::<Node>(
        Api::all(world.cluster.clone()),
        json!({"metadata": {"name": "n-1"}}),
    )
    .await;
    world
}

async fn open(world: &World, user: &str) -> Result<Stream, u16> {
    let speaks = [("sec-websocket-protocol", "base64.channel.k8s.io")];
    world.open_with(user, PATH, &speaks).await
}

/// Channel and content of what the terminal gets next.
async fn heard(stream: &mut Stream) -> Option<(char, String)> {
    let text = stream.text().await?;
    let (channel, content) = text.split_at(1);
    let content = STANDARD.decode(content).expect("base64");
    Some((
        channel.chars().next()?,
        String::from_utf8(content).expect("text"),
    ))
}

/// Reads on until a line says so.
async fn until(stream: &mut Stream, said: &str) {
    let mut before = String::new();
    while let Some((_, content)) = heard(stream).await {
        before.push_str(&content);
        if content.contains(said) {
            return;
        }
    }
    panic!("{said:?} was not said: {before}");
}

/// Reads to the end; the failure that is told at last.
async fn failure(stream: &mut Stream) -> String {
    let mut last = None;
    while let Some((channel, content)) = heard(stream).await {
        last = (channel == '3').then_some(content);
    }
    last.expect("a failure")
}

fn pods(world: &World) -> Api<Pod> {
    Api::namespaced(world.cluster.clone(), SYSTEM)
}

fn secrets(world: &World) -> Api<Secret> {
    Api::namespaced(world.cluster.clone(), SYSTEM)
}

/// Waits until the objects of a kind are as they should be.
async fn eventually<K>(api: Api<K>, fits: impl Fn(&[K]) -> bool) -> Vec<K>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let found = async {
        let mut changes = watcher(api.clone(), watcher::Config::default()).boxed();
        loop {
            let now = api
                .list(&ListParams::default())
                .await
                .expect("a list")
                .items;
            if fits(&now) {
                return now;
            }
            changes.next().await;
        }
    };
    tokio::time::timeout(PATIENCE, found)
        .await
        .expect("it comes to that")
}

fn shell_tokens(tokens: &[Token]) -> usize {
    let is_shell = |token: &&Token| token.name_any().starts_with("dashboard-shell-");
    tokens.iter().filter(is_shell).count()
}

async fn nothing_is_left(world: &World) {
    eventually(pods(world), |pods| pods.is_empty()).await;
    eventually(secrets(world), |secrets| secrets.is_empty()).await;
    eventually(Api::<Token>::all(world.hub.clone()), |tokens| {
        shell_tokens(tokens) == 0
    })
    .await;
}

async fn set_status(world: &World, pod: &str, status: Value) {
    let patch = Patch::Merge(json!({ "status": status }));
    pods(world)
        .patch_status(pod, &PatchParams::default(), &patch)
        .await
        .expect("a status");
}

fn waiting(reason: &str, message: &str) -> Value {
    json!({"phase": "Pending", "containerStatuses": [{
        "name": "shell", "ready": false, "restartCount": 0, "image": "", "imageID": "",
        "state": {"waiting": {"reason": reason, "message": message}},
    }]})
}

#[tokio::test]
async fn only_those_with_a_part_in_a_cluster_get_a_shell_in_it() {
    let world = world().await;
    for (user, expected) in [("", 401), ("stranger", 403)] {
        assert_eq!(open(&world, user).await.unwrap_err(), expected, "{user:?}");
    }
    for user in ["owner", "member", world.admin.as_str()] {
        let mut shell = open(&world, user).await.expect("a shell");
        until(&mut shell, "Starting a kubectl shell in one.").await;
    }
    // As the peer's agent has it.
    let inside = "/k8s/clusters/c-1/v1/management.cattle.io.clusters/local?link=shell";
    assert_eq!(
        world.open_with("stranger", inside, &[]).await.unwrap_err(),
        403
    );
    assert!(world.open_with("member", inside, &[]).await.is_ok());
    let elsewhere = PATH.replace("c-1", "c-9");
    let refused = world.open_with(&world.admin, &elsewhere, &[]).await;
    assert_eq!(refused.unwrap_err(), 404);
    let unknown = [("sec-websocket-protocol", "chat")];
    let refused = world.open_with("owner", PATH, &unknown).await;
    assert_eq!(refused.unwrap_err(), 400);
    let foreign = world
        .open("owner", PATH, Some("https://evil.example"))
        .await;
    assert_eq!(foreign.unwrap_err(), 403);
}

#[tokio::test]
async fn a_cluster_without_nodes_says_so_at_once() {
    let world = world().await;
    let mut shell = open(&world, "owner").await.expect("a shell");
    let told = failure(&mut shell).await;
    assert!(told.contains("no node"), "{told}");
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn what_keeps_the_pod_from_running_is_told_and_cleaned_up() {
    let world = with_node().await;
    let mut shell = open(&world, "owner").await.expect("a shell");
    let made = eventually(pods(&world), |pods| pods.len() == 1).await;
    let name = made[0].name_any();
    let unscheduled = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available",
    }]});
    set_status(&world, &name, unscheduled).await;
    until(&mut shell, "0/1 nodes are available").await;
    let refused = waiting("ImagePullBackOff", "no such image");
    set_status(&world, &name, refused).await;
    let told = failure(&mut shell).await;
    assert!(told.contains("ImagePullBackOff: no such image"), "{told}");
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_cluster_that_refuses_the_pod_is_quoted() {
    let world = World::start().await;
    put::<Node>(
        Api::all(world.cluster.clone()),
        json!({"metadata": {"name": "n-1"}}),
    )
    .await;
    let mut shell = open(&world, "owner").await.expect("a shell");
    let told = failure(&mut shell).await;
    assert!(
        told.contains("namespaces \"cattle-system\" not found"),
        "{told}"
    );
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn the_kubeconfig_is_its_users_and_for_this_cluster_until_the_client_leaves() {
    let world = with_node().await;
    let shell = open(&world, "member").await.expect("a shell");
    let made = eventually(secrets(&world), |secrets| secrets.len() == 1).await;
    let owners = made[0].owner_references();
    assert_eq!(owners[0].kind, "Pod");
    let data = made[0].data.as_ref().expect("data");
    let text = std::str::from_utf8(&data["kubeconfig"].0).expect("text");
    assert!(text.contains("/k8s/clusters/c-1"), "{text}");
    let token = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("token: "))
        .expect("a token")
        .trim_matches('"');
    let asking = |path: &str| {
        let request = http::Request::builder()
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .body(())
            .expect("a request");
        request.into_parts().0
    };
    let parts = asking("/k8s/clusters/c-1/version");
    let authenticator = &world.ways.auth().authenticator;
    assert!(
        authenticator
            .authenticate(&asking("/v3/users"))
            .await
            .is_err()
    );
    let identity = authenticator
        .authenticate(&parts)
        .await
        .expect("it is good");
    let identity = identity.expect("somebody");
    assert_eq!(identity.user.as_str(), "member");
    assert!(identity.may_reach(Some("c-1")));
    assert!(!identity.may_reach(Some("local")) && !identity.may_reach(None));
    drop(shell);
    nothing_is_left(&world).await;
    assert!(authenticator.authenticate(&parts).await.is_err());
}

#[tokio::test]
async fn who_loses_the_part_in_a_cluster_loses_the_shell() {
    let world = with_node().await;
    let mut shell = open(&world, "member").await.expect("a shell");
    eventually(secrets(&world), |secrets| secrets.len() == 1).await;
    let bindings: Api<ProjectRoleTemplateBinding> = Api::namespaced(world.hub.clone(), "c-1-p-1");
    bindings
        .delete("prtb-1", &DeleteParams::default())
        .await
        .expect("deleted");
    let told = failure(&mut shell).await;
    assert!(told.contains("has ended"), "{told}");
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn a_stopping_server_leaves_nothing() {
    let world = with_node().await;
    let mut shell = open(&world, "owner").await.expect("a shell");
    eventually(secrets(&world), |secrets| secrets.len() == 1).await;
    tokio::join!(world.explorer.shutdown(), async {
        assert!(failure(&mut shell).await.contains("stopping"));
    });
    nothing_is_left(&world).await;
}

#[tokio::test]
async fn what_a_dead_hub_left_is_swept_up_and_what_lives_stays() {
    let world = with_node().await;
    let logins = &world.ways.auth().logins;
    let owner = Identity::of("owner");
    let pod = |name: String| {
        put::<Pod>(
            pods(&world),
            json!({
                "metadata": {"name": name, "labels": {"drover.dev/shell": "true"}},
                "spec": {"containers": [{"name": "shell", "image": "i"}]},
            }),
        )
    };
    let mut made = Vec::new();
    for _ in 0..2 {
        let token = logins
            .shell_token(&owner, "c-1", SignedDuration::from_mins(5))
            .await
            .expect("a token");
        assert!(token.bearer.expose_secret().starts_with(&token.name));
        pod(token.name.clone()).await;
        made.push(token.name);
    }
    // A cluster that is gone, and a token whose time is up.
    for (cluster, lifetime) in [
        ("c-9", SignedDuration::from_mins(5)),
        ("c-1", SignedDuration::from_millis(1)),
    ] {
        let token = logins
            .shell_token(&owner, cluster, lifetime)
            .await
            .expect("a token");
        if cluster == "c-9" {
            logins
                .disable_shell_token(&token.name)
                .await
                .expect("disabled");
        }
    }
    logins
        .disable_shell_token(&made[0])
        .await
        .expect("disabled");
    let lasts = SignedDuration::from_mins(5);
    assert!(
        !logins
            .prolong_shell_token(&made[0], lasts)
            .await
            .expect("an answer")
    );
    assert!(
        logins
            .prolong_shell_token(&made[1], lasts)
            .await
            .expect("an answer")
    );
    let tokens = Api::<Token>::all(world.hub.clone());
    let gone = |tokens: &[Token]| shell_tokens(tokens) == 1;
    let swept = async {
        // The token of a millisecond may live through the second in which it was made.
        while !gone(
            &tokens
                .list(&ListParams::default())
                .await
                .expect("a list")
                .items,
        ) {
            world.explorer.sweep_shells().await.expect("swept");
        }
    };
    tokio::time::timeout(PATIENCE, swept)
        .await
        .expect("all are swept");
    let left = pods(&world)
        .list(&ListParams::default())
        .await
        .expect("a list");
    let left: Vec<String> = left.items.iter().map(|pod| pod.name_any()).collect();
    assert_eq!(left, [made[1].clone()]);

    // A pod whose token is lost goes when the next shell opens there.
    pod("dashboard-shell-stray".to_owned()).await;
    let _shell = open(&world, "owner").await.expect("a shell");
    eventually(pods(&world), |pods| {
        pods.len() == 2
            && pods
                .iter()
                .all(|pod| pod.name_any() != "dashboard-shell-stray")
    })
    .await;
}

#[tokio::test]
async fn clusters_link_to_their_shell() {
    let world = world().await;
    let shown = world
        .get("owner", "/v1/management.cattle.io.clusters/c-1")
        .await;
    assert_eq!(
        shown["links"]["shell"],
        "wss://drover.example/v3/clusters/c-1?shell=true"
    );
}
