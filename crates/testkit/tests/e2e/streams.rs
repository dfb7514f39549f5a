//! `/v1/subscribe` over a really imported cluster: what kubectl does there comes as frames, and ends with the right to see it.

use anyhow::{Context as _, Result, bail, ensure};
use drover_testkit::hub::{self, PASSWORD};
use drover_testkit::socket::{Opened, Socket};
use serde_json::{Value, json};

use crate::fixture::{World, kubectl, turn};

/// What a person without rights of their own logs in with.

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_an_imported_cluster_are_told_to_those_who_may_see_them() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;
    kubectl(&world.plane.kubeconfig(), &["create", "namespace", "shop"]).await?;
    let made = objects(&world).await?;
    resumption(&world, &made).await?;
    notices(&world).await?;
    errors(&world).await?;
    revocation(&world).await?;
    world.hub.process()?.still_running()
}

async fn open(world: &World, token: &str) -> Result<Box<Socket>> {
    let path = format!("/k8s/clusters/{}/v1/subscribe", world.id);
    match Socket::open(world.hub.address(), &path, Some(token)).await? {
        Opened::Stream(socket) => Ok(socket),
        Opened::Refused(status) => bail!("refused with {status}"),
    }
}

/// Name of a frame and id of its object.
fn told(frame: &Value) -> (&str, &str) {
    (
        frame["name"].as_str().unwrap_or_default(),
        frame["data"]["id"].as_str().unwrap_or_default(),
    )
}

async fn in_shop(world: &World, arguments: &[&str]) -> Result<()> {
    let arguments = [arguments, &["-n", "shop"]].concat();
    kubectl(&world.plane.kubeconfig(), &arguments).await?;
    Ok(())
}

/// Start, create, change, remove, stop; gives the revision of the creation.
async fn objects(world: &World) -> Result<String> {
    let mut stream = open(world, &world.session.token).await?;
    let topic = json!({"resourceType": "configmap", "namespace": "shop"});
    stream.say(&topic).await?;
    assert_eq!(
        stream.frame().await?,
        json!({
            "name": "resource.start", "resourceType": "configmap", "namespace": "shop",
            "data": {"type": "subscribe", "links": {}},
        })
    );
    in_shop(
        world,
        &["create", "configmap", "told", "--from-literal=k=v"],
    )
    .await?;
    let made = stream.frame().await?;
    // The namespace's own ConfigMap may come first.
    let made = if told(&made).1.ends_with("kube-root-ca.crt") {
        stream.frame().await?
    } else {
        made
    };
    assert_eq!(told(&made), ("resource.create", "shop/told"));
    assert_eq!(made["data"]["metadata"]["fields"][0], "told");
    assert_eq!(
        made["revision"],
        made["data"]["metadata"]["resourceVersion"]
    );
    in_shop(world, &["label", "configmap", "told", "seen=yes"]).await?;
    let changed = stream.frame().await?;
    assert_eq!(told(&changed), ("resource.change", "shop/told"));
    assert_eq!(changed["data"]["metadata"]["labels"]["seen"], "yes");
    in_shop(world, &["delete", "configmap", "told"]).await?;
    let gone = stream.frame().await?;
    assert_eq!(told(&gone), ("resource.remove", "shop/told"));
    let mut stop = topic.clone();
    stop["stop"] = json!(true);
    stream.say(&stop).await?;
    assert_eq!(stream.frame().await?["name"], "resource.stop");
    made["revision"]
        .as_str()
        .map(str::to_owned)
        .context("a frame without a revision")
}

/// Another connection goes on where this one was; what is too old is said to be.
async fn resumption(world: &World, revision: &str) -> Result<()> {
    let mut stream = open(world, &world.session.token).await?;
    let topic =
        json!({"resourceType": "configmap", "namespace": "shop", "resourceVersion": revision});
    stream.say(&topic).await?;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(stream.frame().await?["name"].clone());
    }
    assert_eq!(
        names,
        ["resource.start", "resource.change", "resource.remove"]
    );
    let mut stream = open(world, &world.session.token).await?;
    stream
        .say(&json!({"resourceType": "configmap", "resourceVersion": "1"}))
        .await?;
    let error = stream.frame().await?;
    let message = error["data"]["error"].as_str().unwrap_or_default();
    assert!(message.contains("too old"), "{error}");
    assert_eq!(stream.frame().await?["name"], "resource.stop");
    Ok(())
}

/// In the mode `resource.changes` many changes become few frames without objects.
async fn notices(world: &World) -> Result<()> {
    let mut stream = open(world, &world.session.token).await?;
    let topic = json!({
        "resourceType": "configmap", "namespace": "shop", "mode": "resource.changes", "debounceMs": 2000,
    });
    stream.say(&topic).await?;
    let start = stream.frame().await?;
    assert_eq!(
        (&start["name"], &start["mode"]),
        (&json!("resource.start"), &json!("resource.changes"))
    );
    let at = format!("/k8s/clusters/{}/v1/configmaps", world.id);
    let mut last = String::new();
    for number in 0..20 {
        let body = json!({"metadata": {"name": format!("quick-{number}"), "namespace": "shop"}});
        let made = world
            .session
            .http
            .post(&at, &body)
            .await?
            .expect(201)?
            .json()?;
        let revision = made["metadata"]["resourceVersion"].as_str();
        revision.unwrap_or_default().clone_into(&mut last);
    }
    let mut n_notices = 0;
    loop {
        let notice = stream.frame().await?;
        assert_eq!(notice["name"], "resource.changes");
        assert_eq!(notice["data"], json!({"type": "subscribe", "links": {}}));
        n_notices += 1;
        if notice["revision"] == last.as_str() {
            break;
        }
    }
    ensure!(n_notices < 10, "{n_notices} notices of 20 changes");
    let path = format!("{at}/shop?revision={last}&filter=metadata.name~quick-&pagesize=1");
    let list = world.session.http.get(&path).await?.expect(200)?.json()?;
    assert_eq!(list["count"], 20);
    Ok(())
}

async fn errors(world: &World) -> Result<()> {
    let mut stream = open(world, &world.session.token).await?;
    for (topic, expected) in [
        (json!({"resourceType": "nosuch"}), "failed to find schema"),
        (
            json!({"resourceType": "authorization.k8s.io.selfsubjectaccessreview"}),
            "watch not allowed",
        ),
        (
            json!({"resourceType": "configmap", "selector": "a in b"}),
            "",
        ),
    ] {
        stream.say(&topic).await?;
        let error = stream.frame().await?;
        assert_eq!(error["name"], "resource.error", "{topic}");
        let message = error["data"]["error"].as_str().unwrap_or_default();
        ensure!(!message.is_empty() && message.contains(expected), "{error}");
        assert_eq!(stream.frame().await?["name"], "resource.stop", "{topic}");
    }
    let path = format!("/k8s/clusters/{}/v1/subscribe", world.id);
    let nobody = Socket::open(world.hub.address(), &path, None).await?;
    ensure!(matches!(nobody, Opened::Refused(401)), "{nobody:?}");
    Ok(())
}

/// A colleague sees what their role shows, and nothing from the moment it is taken away.
async fn revocation(world: &World) -> Result<()> {
    let http = &world.session.http;
    let user = world.person("colleague").await?;
    let colleague = world.hub.login_as("colleague", PASSWORD).await?;
    let token = colleague.token.as_str();
    let path = format!("/k8s/clusters/{}/v1/subscribe", world.id);
    let closed = Socket::open(world.hub.address(), &path, Some(token)).await?;
    ensure!(matches!(closed, Opened::Refused(401)), "{closed:?}");

    let binding = world.bind(&user, "cluster-owner").await?;
    let mut stream = open(world, token).await?;
    let topic = json!({"resourceType": "configmap", "namespace": "shop"});
    stream.say(&topic).await?;
    assert_eq!(stream.frame().await?["name"], "resource.start");
    in_shop(world, &["create", "configmap", "for-both"]).await?;
    assert_eq!(
        told(&stream.frame().await?),
        ("resource.create", "shop/for-both")
    );
    http.delete(&format!("/v3/clusterroletemplatebindings/{binding}"))
        .await?
        .expect(204)?;
    in_shop(world, &["create", "configmap", "for-the-owner"]).await?;
    let end = stream.next().await?;
    ensure!(
        end.as_ref()
            .is_none_or(|frame| frame["name"] == "resource.stop"),
        "{end:?}"
    );
    // Asked again, it is as if there were nothing.
    let again = Socket::open(world.hub.address(), &path, Some(token)).await?;
    ensure!(matches!(again, Opened::Refused(401)), "{again:?}");
    Ok(())
}
