//! Clusters that cannot join: the agent says which step fails, why, and what to do. And agents that stand in for
//! one another.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use drover_testkit::control_plane::{self, ControlPlane};
use drover_testkit::hub::{self, Hub};
use drover_testkit::kubelet::account_token;
use drover_testkit::process::Launch;
use drover_testkit::{apply, real, wait};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;
use tempfile::TempDir;

use crate::fixture::{LIMIT, World, turn};

static EXAMINATIONS: AtomicU32 = AtomicU32::new(0);

/// The files and variables of the agent's pod, so that single ones can be spoilt.
struct Pod {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

impl Pod {
    /// As the applied manifest says.
    async fn of(plane: &ControlPlane) -> Result<Self> {
        let client = plane.client().await?;
        let folder = tempfile::Builder::new().prefix("drover-pod-").tempdir()?;
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), "cattle-system");
        let deployment = deployments.get("cattle-cluster-agent").await?;
        let container = deployment
            .spec
            .template
            .spec
            .and_then(|pod| pod.containers.into_iter().next())
            .context("the Deployment has no container")?;
        let mut environment: BTreeMap<String, String> = container
            .env
            .into_iter()
            .flatten()
            .map(|variable| (variable.name, variable.value.unwrap_or_default()))
            .collect();
        let (address, port) = plane.address();
        environment.insert("KUBERNETES_SERVICE_HOST".to_owned(), address.to_string());
        environment.insert("KUBERNETES_SERVICE_PORT".to_owned(), port.to_string());

        let credentials = folder.path().join("credentials");
        std::fs::create_dir(&credentials)?;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), "cattle-system");
        let secret = secrets.get(&environment["CATTLE_CREDENTIAL_NAME"]).await?;
        for (name, value) in secret.data.into_iter().flatten() {
            std::fs::write(credentials.join(name), value.0)?;
        }
        let account = folder.path().join("account");
        std::fs::create_dir(&account)?;
        std::fs::write(account.join("token"), account_token(client).await?)?;
        std::fs::write(account.join("ca.crt"), plane.authority())?;
        std::fs::write(account.join("namespace"), "cattle-system")?;
        Ok(Self {
            folder,
            environment,
        })
    }

    fn credential(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("credentials").join(name)
    }

    fn launch(&self, command: &str, log: &str) -> Result<Launch> {
        let folder: &Path = self.folder.path();
        let mut launch = Launch::new(log, real::product("drover-agent")?, folder)
            .clean_environment()
            .folder(folder)
            .args([command, "--credentials-dir"])
            .args([folder.join("credentials")])
            .args(["--service-account-dir"])
            .args([folder.join("account")]);
        for (name, value) in &self.environment {
            launch = launch.env(name, value);
        }
        Ok(launch)
    }

    /// What the agent's doctor says, and its exit code.
    async fn examine(&self, case: &str) -> Result<(i32, Value)> {
        // A log of its own: what another examination of the case said is not this one's answer.
        let number = EXAMINATIONS.fetch_add(1, Ordering::Relaxed);
        let launch = self
            .launch("doctor", &format!("{case}-{number}"))?
            .args(["--output", "json"]);
        let mut process = launch.start()?;
        let code = wait::until("the doctor to be done", LIMIT, || {
            let ended = process.ended();
            async move { ended?.context("it still examines") }
        })
        .await?;
        let output = process.output();
        let report = serde_json::from_str(&output).with_context(|| output.clone())?;
        Ok((code, report))
    }

    /// Checks that `step` fails for `reason`, with something to do about it, and that nothing before it does.
    async fn fails(&self, step: &str, reason: &str, may_heal: bool) -> Result<()> {
        let (code, report) = self.examine(step).await?;
        assert_eq!(code, 1, "{report:#}");
        assert_eq!(report["ready"], false);
        let checks = report["checks"].as_array().context("no checks")?;
        let failed: Vec<&Value> = checks
            .iter()
            .filter(|check| check["outcome"] == "failed")
            .collect();
        let [failed] = failed[..] else {
            anyhow::bail!("not one failure: {report:#}")
        };
        assert_eq!(failed["step"], step, "{report:#}");
        assert_eq!(failed["mayHeal"], may_heal, "{report:#}");
        let said = failed["reason"].as_str().unwrap_or_default();
        assert!(said.contains(reason), "{report:#}");
        assert_ne!(failed["advice"], "", "{report:#}");
        let token = std::fs::read_to_string(self.credential("token"))?;
        assert!(
            !report.to_string().contains(token.trim()),
            "the report holds the token: {report:#}"
        );
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_cannot_join_says_why() -> Result<()> {
    let _turn = turn().await;
    let plane = control_plane::Config {
        nodes: 0,
        ..control_plane::Config::default()
    };
    let plane = ControlPlane::start(&plane).await?;
    let mut hub = Hub::start(hub::Config::default()).await?;
    let session = hub.login().await?;
    let id = session.create_cluster("joins").await?;
    apply::apply(&plane.kubeconfig(), &session.manifest(&id).await?).await?;

    let pod = Pod::of(&plane).await?;
    let (code, report) = pod.examine("good").await?;
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["ready"], true, "{report:#}");

    wrong_token(&plane).await?;
    wrong_checksum(&plane).await?;
    unreachable(&plane).await?;
    no_rights(&plane).await?;

    let mut foreign = Pod::of(&plane).await?;
    // A manifest of a server with a public certificate, but a private one answers.
    for (name, value) in [("CATTLE_CA_CHECKSUM", ""), ("STRICT_VERIFY", "false")] {
        foreign
            .environment
            .insert(name.to_owned(), value.to_owned());
    }
    foreign
        .fails("certificate", "not signed by a trusted CA", false)
        .await?;
    foreign
        .environment
        .insert("STRICT_VERIFY".to_owned(), "true".to_owned());
    foreign
        .fails("ca-checksum", "no CA checksum", false)
        .await?;

    // The cluster is deleted at the hub, which never had a session with it; the agent's token goes with it.
    session.http.delete(&format!("/v3/clusters/{id}")).await?;
    wait::until("the token to be refused", LIMIT, || async {
        let (code, report) = pod.examine("deleted").await?;
        ensure!(code == 1, "it is still taken: {report:#}");
        Ok(())
    })
    .await?;
    pod.fails("registration", "cluster not found", true).await?;
    hub.process()?.still_running()
}

async fn wrong_token(plane: &ControlPlane) -> Result<()> {
    let pod = Pod::of(plane).await?;
    std::fs::write(
        pod.credential("token"),
        "bcdfghjklmnpqrstvwxz2456789bcdfghjklmnpqrstvwxz2456789",
    )?;
    pod.fails("registration", "cluster not found", true).await?;
    // The agent goes on trying: the token may be put right in its Secret.
    let mut agent = pod.launch("cluster", "wrong-token")?.start()?;
    wait::until("the agent to say what is wrong", LIMIT, || {
        let (running, output) = (agent.still_running(), agent.output());
        async move {
            running?;
            ensure!(
                output.contains("cluster not found") && output.contains("import the cluster again"),
                "{output}"
            );
            Ok(())
        }
    })
    .await?;
    std::fs::remove_file(pod.credential("token"))?;
    std::fs::write(pod.credential("token"), "")?;
    let (code, report) = pod.examine("no-token").await?;
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(report["checks"][0]["step"], "configuration");
    assert_eq!(report["checks"][0]["outcome"], "failed");
    Ok(())
}

async fn wrong_checksum(plane: &ControlPlane) -> Result<()> {
    let mut pod = Pod::of(plane).await?;
    pod.environment
        .insert("CATTLE_CA_CHECKSUM".to_owned(), "0".repeat(64));
    pod.fails("ca-checksum", "has checksum", false).await?;
    // Another server may be answering, so the agent gives it nothing and ends.
    let mut agent = pod.launch("cluster", "wrong-checksum")?.start()?;
    let code = wait::until("the agent to give up", LIMIT, || {
        let ended = agent.ended();
        async move { ended?.context("it still runs") }
    })
    .await?;
    assert_eq!(code, 1);
    let output = agent.output();
    assert!(output.contains("the manifest has 0000"), "{output}");
    Ok(())
}

async fn unreachable(plane: &ControlPlane) -> Result<()> {
    let pod = Pod::of(plane).await?;
    let closed = real::free_port()?;
    std::fs::write(pod.credential("url"), format!("https://127.0.0.1:{closed}"))?;
    pod.fails("connection", "refused", true).await?;
    std::fs::write(pod.credential("url"), "https://hub.invalid")?;
    pod.fails("name", "hub.invalid", true).await
}

/// The manifest's rights are gone, so the hub would be told of a token that opens nothing.
async fn no_rights(plane: &ControlPlane) -> Result<()> {
    let pod = Pod::of(plane).await?;
    let client = plane.client().await?;
    let bindings: Api<k8s_openapi::api::rbac::v1::ClusterRoleBinding> = Api::all(client);
    let mut binding = bindings.get("cattle-admin-binding").await?;
    bindings
        .delete("cattle-admin-binding", &kube::api::DeleteParams::default())
        .await?;
    let report = wait::until("the rights to be missed", LIMIT, || async {
        let (code, report) = pod.examine("no-rights").await?;
        ensure!(code == 1, "{report:#}");
        Ok(report)
    })
    .await?;
    for (step, outcome, advice) in [
        ("kubernetes-rights", "warning", "cattle-admin-binding"),
        (
            "service-account-token",
            "failed",
            "apply the import manifest again",
        ),
        ("root-ca", "failed", "apply the import manifest again"),
        ("registration", "skipped", ""),
    ] {
        let check = report["checks"]
            .as_array()
            .and_then(|checks| checks.iter().find(|check| check["step"] == step))
            .with_context(|| format!("no verdict on {step}"))?;
        assert_eq!(check["outcome"], outcome, "{report:#}");
        let said = check["advice"].as_str().unwrap_or_default();
        assert!(said.contains(advice), "{report:#}");
    }
    binding.metadata.resource_version = None;
    binding.metadata.uid = None;
    bindings.create(&PostParams::default(), &binding).await?;
    Ok(())
}

/// How many agents hold the cluster's main tunnel, as the server tells.
fn sessions(hub: &mut Hub, id: &str) -> Result<usize> {
    let log = hub.process()?.output();
    let count = |what: &str| {
        log.lines()
            .filter(|line| line.contains(what) && line.contains(&format!("key={id} ")))
            .count()
    };
    Ok(count("tunnel connected") - count("tunnel disconnected"))
}

/// Waits until two agents run and hold the cluster.
async fn two_agents(world: &mut World) -> Result<()> {
    let (hub, kubelet, id) = (&mut world.hub, &world.kubelet, &world.id);
    wait::until("two agents to be connected", LIMIT, || {
        let sessions = sessions(hub, id);
        async move {
            let (sessions, running) = (sessions?, kubelet.running().await);
            ensure!(
                sessions == 2 && running == 2,
                "{running} run, {sessions} are connected"
            );
            Ok(())
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_agents_is_enough() -> Result<()> {
    let _turn = turn().await;
    // On several nodes the server lets two agents run.
    let mut world = World::start(hub::Config::default()).await?;
    two_agents(&mut world).await?;

    // Somebody asks all the time.
    let path = format!("/k8s/clusters/{}/api/v1/namespaces/kube-system", world.id);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn({
        let (http, path) = (world.session.http.clone(), path.clone());
        async move {
            let mut answers = 0_u32;
            while !*stopped.borrow() {
                http.get(&path).await?.expect(200)?;
                answers += 1;
            }
            anyhow::Ok(answers)
        }
    });
    for _ in 0..2 {
        // The newest is the one that requests go through.
        world.kubelet.kill_newest().await?;
        for _ in 0..20 {
            world.session.http.get(&path).await?.expect(200)?;
        }
        let cluster = world.session.cluster(&world.id).await?;
        assert_eq!(cluster["state"], "active");
        world.kubelet.resume().await;
        two_agents(&mut world).await?;
    }
    stop.send(true)?;
    let answers = asking.await??;
    assert!(answers > 20, "{answers}");
    Ok(())
}
