//! Two replicas of one hub over one Kubernetes API: each reaches the agents of both.

use anyhow::{Context as _, Result, ensure};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::Hub;
use drover_testkit::wait;
use serde_json::json;

use crate::fixture::{LIMIT, World, behind, turn};

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_reaches_an_agent_and_knows_what_was_revoked() -> Result<()> {
    let _turn = turn().await;
    let (_behind, config) = behind().await?;
    // Agents are told the URL of the one that started last.
    let mut other = Hub::start(config.clone()).await?;
    let hub = Hub::start(config).await?;
    let plane = ControlPlane::start(&control_plane::Config::default()).await?;
    let mut world = World::join(hub, plane).await?;
    let nodes = format!("/k8s/clusters/{}/api/v1/nodes", world.id);

    let token = json!({"type": "token", "description": "for both"});
    let token = world.session.http.post("/v3/tokens", &token).await?;
    let token = token.expect(201)?.json()?;
    let (name, token) = (
        token["name"].as_str().context("no name")?.to_owned(),
        token["token"].as_str().context("no token")?.to_owned(),
    );
    reaches(&other, &token, &nodes).await?;

    // A replica that ended in whatever way is found again, the one without the agent and the one with it.
    other.kill()?;
    other.resume().await?;
    reaches(&other, &token, &nodes).await?;
    world.hub.kill()?;
    wait::until("the cluster to be out of reach", LIMIT, || async {
        let answer = other.http(Some(&token))?.get(&nodes).await?;
        ensure!(answer.status == 503, "{}", answer.status);
        Ok(())
    })
    .await?;
    world.hub.resume().await?;
    reaches(&other, &token, &nodes).await?;

    let path = format!("/v3/tokens/{name}");
    world.session.http.delete(&path).await?.expect(204)?;
    wait::until("the token to be refused everywhere", LIMIT, || async {
        let answer = other.http(Some(&token))?.get(&nodes).await?;
        ensure!(answer.status == 401, "{}", answer.status);
        Ok(())
    })
    .await
}

async fn reaches(hub: &Hub, token: &str, path: &str) -> Result<()> {
    wait::until("the other replica to reach the cluster", LIMIT, || async {
        let answer = hub
            .http(Some(token))?
            .get(path)
            .await?
            .expect(200)?
            .json()?;
        ensure!(answer["kind"] == "NodeList", "{answer}");
        Ok(())
    })
    .await
}
