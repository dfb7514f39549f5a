//! A cluster's own API server with the hub's tokens, the hub away or not.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::http::Http;
use drover_testkit::hub::{self, PASSWORD, Session};
use drover_testkit::process::Process;
use drover_testkit::{real, wait};
use serde_json::{Value, json};

use crate::fixture::{LIMIT, World, kubectl, turn};

/// An API server keeps what it was told for 15 s with the flags of this test, the agent a refusal for ten.
const REVOKED: Duration = Duration::from_secs(45);
/// For how long the agent uses an answer without asking again.
const FRESH: Duration = Duration::from_secs(3);
/// For how long an answer of the hub counts without it, in this test.
const OFFLINE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_knows_the_hubs_people_with_and_without_the_hub() -> Result<()> {
    let _turn = turn().await;
    let mut scene = Scene::start().await?;
    scene.rights_are_those_of_the_role().await?;
    scene.tokens_of_elsewhere_are_refused().await?;
    scene.what_is_taken_away_is_gone().await?;
    scene.the_hub_may_be_away().await?;
    scene.nothing_is_left_when_it_is_switched_off().await
}

struct Scene {
    world: World,
    authenticator: Process,
    /// Where the agent answers the API server.
    port: u16,
    jane: Session,
    /// Her id.
    user: String,
    binding: String,
    /// The token of Jane's kubeconfig.
    token: String,
}

impl Scene {
    async fn start() -> Result<Self> {
        let port = real::free_port()?;
        let plane = control_plane::Config {
            nodes: 1,
            token_webhook: Some(port),
            ..control_plane::Config::default()
        };
        let plane = ControlPlane::start(&plane).await?;
        let hub = hub::Hub::start(hub::Config::default()).await?;
        let world = World::join(hub, plane).await?;
        let http = &world.session.http;
        let setting = json!({"value": OFFLINE.as_secs().to_string()});
        http.put("/v3/settings/auth-endpoint-offline-seconds", &setting)
            .await?
            .expect(200)?;
        let (host, api_port) = world.plane.address();
        let endpoint = json!({
            "enabled": true, "fqdn": format!("{host}:{api_port}"), "caCerts": world.plane.authority(),
        });
        switch(&world, &endpoint).await?;
        let authenticator = wait::until("the agent beside the API server", LIMIT, || async {
            world.kubelet.start_authenticator("node-1", port).await
        })
        .await?;
        let user = world.person("jane").await?;
        let jane = world.hub.login_as("jane", PASSWORD).await?;
        let binding = world.bind(&user, ROLE).await?;
        let file = jane.kubeconfig(&world.id).await?;
        std::fs::write(world.hub.folder().join("jane"), &file)?;
        let file: Value = serde_saphyr::from_str(&file)?;
        let token = file["users"][0]["user"]["token"]
            .as_str()
            .context("no token in the kubeconfig")?
            .to_owned();
        Ok(Self {
            world,
            authenticator,
            port,
            jane,
            user,
            binding,
            token,
        })
    }

    /// The status of a request to the cluster's API server itself.
    async fn directly(&self, token: &str, path: &str) -> Result<u16> {
        let plane = &self.world.plane;
        let http = Http::trusting(&plane.url(), plane.authority(), Some(token))?;
        Ok(http.get(path).await?.status.as_u16())
    }

    async fn wait_directly(&self, what: &str, status: u16) -> Result<()> {
        wait::until(what, REVOKED, || async {
            let found = self.directly(&self.token, NODES).await?;
            ensure!(found == status, "it is {found}");
            Ok(())
        })
        .await
    }

    /// What the agent says, with no cache of an API server between.
    async fn review(&self, token: &str) -> Result<Value> {
        let url = format!("http://127.0.0.1:{}", self.port);
        let http = Http::trusting(&url, self.world.plane.authority(), None)?;
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
        });
        let answer = http.post("/v1/authenticate", &review).await?;
        Ok(answer.expect(200)?.json()?["status"].take())
    }

    async fn rights_are_those_of_the_role(&self) -> Result<()> {
        let kubeconfig = self.world.hub.folder().join("jane");
        let run = async |context: &str, arguments: &[&str]| {
            let arguments = [["--context", context].as_slice(), arguments].concat();
            kubectl(&kubeconfig, &arguments).await
        };
        wait::until("the direct way to be open", LIMIT, || async {
            run("imported-fqdn", &["get", "nodes", "-o", "name"]).await
        })
        .await?;
        for context in ["imported", "imported-fqdn"] {
            let nodes = run(context, &["get", "nodes", "-o", "name"]).await?;
            assert_eq!(nodes, "node/node-1\n", "{context}");
            let refused = run(context, &["get", "secrets", "-n", "kube-system"]).await;
            let refused = format!("{:#}", refused.err().context("Secrets are shown")?);
            ensure!(refused.contains("Forbidden"), "{context}: {refused}");
        }
        let seen = async |context: &str| -> Result<Value> {
            let seen = run(context, &["auth", "whoami", "-o", "json"]).await?;
            let mut seen: Value = serde_json::from_str(&seen)?;
            let mut user = seen["status"]["userInfo"].take();
            if let Some(extra) = user["extra"].as_object_mut() {
                // The host that the hub was called by; and the API server's own note of how it came to know.
                extra.remove("requesthost");
                extra.retain(|key, _| !key.starts_with("authentication.kubernetes.io/"));
            }
            if let Some(groups) = user["groups"].as_array_mut() {
                groups.sort_by_key(Value::to_string);
            }
            Ok(user)
        };
        let (hub, direct) = (seen("imported").await?, seen("imported-fqdn").await?);
        assert_eq!(hub, direct);
        ensure!(direct["extra"]["requesttokenid"].is_array(), "{direct}");
        Ok(())
    }

    async fn tokens_of_elsewhere_are_refused(&self) -> Result<()> {
        let other = self.world.session.create_cluster("other").await?;
        let asked = json!({"type": "token", "clusterId": other});
        let made = self.world.session.http.post("/v3/tokens", &asked).await?;
        let made = made.expect(201)?.json()?;
        let foreign = made["token"].as_str().context("no token")?;
        let wrong = format!("{}x", self.token);
        let everywhere = self.jane.token.as_str();
        for token in [
            foreign,
            everywhere,
            wrong.as_str(),
            "nobody:at-all",
            "not-ours",
        ] {
            assert_eq!(self.directly(token, NODES).await?, 401);
        }
        assert_eq!(self.directly(&self.token, NODES).await?, 200);
        Ok(())
    }

    async fn what_is_taken_away_is_gone(&mut self) -> Result<()> {
        let http = &self.world.session.http;
        let path = format!("/v3/clusterroletemplatebindings/{}", self.binding);
        http.delete(&path).await?.expect(204)?;
        self.wait_directly("a removed binding to count", 401)
            .await?;
        self.binding = self.world.bind(&self.user, ROLE).await?;
        self.wait_directly("a new binding to count", 200).await?;

        let extra = self.jane.kubeconfig(&self.world.id).await?;
        let extra: Value = serde_saphyr::from_str(&extra)?;
        let extra = extra["users"][0]["user"]["token"]
            .as_str()
            .context("no token")?;
        assert_eq!(self.directly(extra, NODES).await?, 200);
        let name = extra.split(':').next().unwrap_or_default();
        let path = format!("/v3/tokens/{name}");
        self.jane.http.delete(&path).await?.expect(204)?;
        wait::until("a deleted token to be refused", REVOKED, || async {
            let found = self.directly(extra, NODES).await?;
            ensure!(found == 401, "it is {found}");
            Ok(())
        })
        .await?;
        assert_eq!(self.directly(&self.token, NODES).await?, 200);
        Ok(())
    }

    async fn the_hub_may_be_away(&mut self) -> Result<()> {
        let asked = wait::until("the hub to be asked", LIMIT, || async {
            let asked = Instant::now();
            let said = self.review(&self.token).await?;
            ensure!(said["authenticated"] == true, "{said}");
            Ok(asked)
        })
        .await?;
        self.world.hub.kill()?;
        let killed = Instant::now();
        assert_eq!(self.directly(&self.token, NODES).await?, 200);

        // The agent starts anew while there is no hub.
        self.authenticator.stop(LIMIT)?;
        let (kubelet, port) = (&self.world.kubelet, self.port);
        self.authenticator = kubelet.start_authenticator("node-1", port).await?;
        let said = wait::until("the agent to answer again", LIMIT, || {
            self.review(&self.token)
        })
        .await?;
        assert_eq!(said["authenticated"], true, "{said}");
        let stranger = self.review("nobody:at-all").await?;
        ensure!(stranger["authenticated"] == false, "{stranger}");
        ensure!(
            killed.elapsed() < OFFLINE,
            "this machine is too slow for this"
        );

        let limit = OFFLINE + REVOKED;
        wait::until("the answers' time to pass", limit, || async {
            let said = self.review(&self.token).await?;
            ensure!(said["authenticated"] == false, "{said}");
            Ok(())
        })
        .await?;
        let passed = asked.elapsed();
        ensure!(passed + FRESH >= OFFLINE, "after {passed:?} already");
        self.wait_directly("the API server to forget it too", 401)
            .await?;
        let own = control_plane::ADMIN_TOKEN;
        assert_eq!(self.directly(own, NODES).await?, 200);

        self.world.hub.resume().await?;
        self.wait_directly("the hub to be asked again", 200).await
    }

    async fn nothing_is_left_when_it_is_switched_off(mut self) -> Result<()> {
        switch(&self.world, &json!({"enabled": false})).await?;
        let said = wait::until("the hub to answer no more", LIMIT, || async {
            let said = self.review(&self.token).await?;
            ensure!(said["authenticated"] == false, "{said}");
            Ok(said)
        })
        .await?;
        ensure!(said["error"].is_string(), "{said}");
        // As the kubelet does when the DaemonSet is gone.
        self.authenticator.stop(LIMIT)?;
        let gone = [
            "get",
            "daemonset/kube-api-auth",
            "secret/drover-kept-reviews",
            "-n",
            "cattle-system",
            "-o",
            "name",
            "--ignore-not-found",
        ];
        let plane = self.world.plane.kubeconfig();
        wait::until("what answered to be gone", LIMIT, || async {
            let left = kubectl(&plane, &gone).await?;
            ensure!(left.is_empty(), "{left}");
            Ok(())
        })
        .await?;
        let key = self.token.split(':').nth(1).context("no key")?.to_owned();
        for output in [
            self.authenticator.output(),
            self.world.hub.process()?.output(),
        ] {
            ensure!(!output.contains(&key), "a token stands in a log");
        }
        Ok(())
    }
}

const NODES: &str = "/api/v1/nodes";
/// Lets somebody see them.
const ROLE: &str = "nodes-view";

/// Sets the cluster's own endpoint.
async fn switch(world: &World, endpoint: &Value) -> Result<()> {
    let mut cluster = world.session.cluster(&world.id).await?;
    cluster["localClusterAuthEndpoint"] = endpoint.clone();
    let path = format!("/v3/clusters/{}", world.id);
    let answer = world.session.http.put(&path, &cluster).await?;
    answer.expect(200).map(drop)
}
