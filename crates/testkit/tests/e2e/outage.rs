//! Agents and servers that die, and what is left afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use drover_testkit::{hub, wait};
use serde_json::json;

use crate::fixture::{LIMIT, World, kubectl, turn};

/// Within which an agent's death must show.
const UNAVAILABLE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn states_follow_agents_and_nothing_acknowledged_is_lost() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;

    world.kubelet.kill_all().await?;
    let cluster = world.wait_state("unavailable", UNAVAILABLE).await?;
    let ready = cluster["conditions"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["type"] == "Ready"));
    let ready = ready.context("no condition Ready")?;
    assert_eq!(ready["status"], "False");
    assert_eq!(ready["reason"], "Disconnected");
    assert_eq!(ready["message"], "Cluster agent is not connected");
    let path = format!("/k8s/clusters/{}/version", world.id);
    let away = world.session.http.get(&path).await?;
    assert!(
        matches!(away.status.as_u16(), 500 | 503),
        "{}: {}",
        away.status,
        away.body
    );

    world.kubelet.resume().await;
    world.wait_state("active", LIMIT).await?;
    world.session.http.get(&path).await?.expect(200)?;

    killed_while_writing(&mut world).await?;
    world.wait_state("active", LIMIT).await?;
    world.session.http.get(&path).await?.expect(200)?;
    Ok(())
}

/// Writes until the server is killed; after its return, all that was acknowledged is there.
async fn killed_while_writing(world: &mut World) -> Result<()> {
    let http = world.session.http.clone();
    let (sender, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let writer = tokio::spawn(async move {
        for number in 0_u32.. {
            let name = format!("kept-{number}");
            let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"number": number.to_string()}});
            let path = "/k8s/clusters/local/api/v1/namespaces/default/configmaps";
            match http.post(path, &map).await {
                Ok(answer) if answer.status == 201 => {
                    if sender.send(name).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    });
    let mut names = Vec::new();
    while names.len() < 50 {
        names.push(
            tokio::time::timeout(LIMIT, acknowledged.recv())
                .await?
                .context("the writer ended early")?,
        );
    }
    world.hub.kill()?;
    writer.await?;
    while let Some(name) = acknowledged.recv().await {
        names.push(name);
    }
    world.hub.resume().await?;
    let list = world
        .session
        .http
        .get("/k8s/clusters/local/api/v1/namespaces/default/configmaps")
        .await?
        .expect(200)?
        .json()?;
    let kept: std::collections::BTreeSet<&str> = list["items"]
        .as_array()
        .context("no items")?
        .iter()
        .filter_map(|map| map["metadata"]["name"].as_str())
        .collect();
    let lost: Vec<&String> = names
        .iter()
        .filter(|name| !kept.contains(name.as_str()))
        .collect();
    ensure!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_refused_with_the_way_out() -> Result<()> {
    let _turn = turn().await;
    let mut hub = hub::Hub::start(hub::Config::default()).await?;
    hub.login().await?;
    hub.kill()?;
    let database = hub.data().join("drover.db");
    for name in ["drover.db-wal", "drover.db-shm"] {
        let beside = hub.data().join(name);
        if beside.exists() {
            std::fs::remove_file(beside)?;
        }
    }
    std::fs::write(&database, vec![0x5a; 200_000])?;
    hub.spawn()?;
    let code = wait::until("the server to give up", LIMIT, || {
        let ended = hub.process().and_then(|process| process.ended());
        async move { ended?.context("it still runs") }
    })
    .await?;
    assert_ne!(code, 0);
    let output = hub.process()?.output();
    assert!(
        output.contains("drover.db"),
        "the message names the file: {output}"
    );
    assert!(
        output.contains("restore"),
        "the message names the way out: {output}"
    );
    assert!(!output.contains("panicked"), "{output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_does_not_end_the_server() -> Result<()> {
    let _turn = turn().await;
    let mut hub = hub::Hub::start(hub::Config::default()).await?;
    // What the system sends with the failed write.
    let id = hub.process()?.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-XFSZ", &id])
        .status()?;
    ensure!(sent.success(), "kill: {sent}");
    hub.login().await?;
    hub.process()?.still_running()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_a_restart_interrupts_still_cleans_the_cluster() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;
    // Without agents the deletion waits, so that the hub ends in the middle of it.
    world.kubelet.kill_all().await?;
    let path = format!("/v3/clusters/{}", world.id);
    world.session.http.delete(&path).await?.expect(200)?;
    world.hub.kill()?;
    world.hub.resume().await?;
    world.kubelet.resume().await;
    wait::until("the cluster to be forgotten", LIMIT, || async {
        world.session.http.get(&path).await?.expect(404)?;
        Ok(())
    })
    .await?;
    let config = world.plane.kubeconfig();
    wait::until("the cluster to be as before", LIMIT, || async {
        let left = [
            "get",
            "namespaces,clusterroles,clusterrolebindings",
            "-o=name",
        ];
        let left = kubectl(&config, &left).await?;
        let left = left
            .lines()
            .filter(|name| name.contains("cattle") || name.contains("drover"));
        let left: Vec<&str> = left.collect();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await
}
