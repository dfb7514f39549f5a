//! A kubectl shell in a really imported cluster: a pod of its own, its user's rights, nothing left.

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_testkit::hub::PASSWORD;
use drover_testkit::socket::{Opened, Socket};
use drover_testkit::{apply, hub, wait};
use serde_json::json;

use crate::fixture::{LIMIT, World, kubectl, turn};

const SYSTEM: &str = "cattle-system";

#[tokio::test(flavor = "multi_thread")]
async fn a_member_works_in_a_shell_with_the_rights_of_a_member() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;
    let user = world.person("colleague").await?;
    world.bind(&user, "cluster-member").await?;
    let member = world.hub.login_as("colleague", PASSWORD).await?;
    let mut shell = open(&world, &member.token).await?;
    let size = STANDARD.encode(json!({"Width": 123, "Height": 45}).to_string());
    shell.send_text(&format!("4{size}")).await?;
    type_in(
        &mut shell,
        "echo answer $((6*7)) of $(stty size | tr ' ' x)\n",
    )
    .await?;
    until(&mut shell, "answer 42 of 45x123").await?;

    let kubeconfig = given(&world).await?;
    let whoami = kubectl(
        &kubeconfig,
        &[
            "auth",
            "whoami",
            "-o",
            "jsonpath={.status.userInfo.username}",
        ],
    )
    .await?;
    assert!(whoami.starts_with("u-"), "{whoami}");
    kubectl(&kubeconfig, &["get", "nodes"]).await?;
    let secrets = apply::kubectl(&kubeconfig, &["get", "secrets", "-A"], "").await?;
    assert!(secrets.stderr.contains("Forbidden"), "{}", secrets.stderr);

    type_in(&mut shell, "exit\n").await?;
    let mut last = None;
    while let Some(text) = shell.next_text().await? {
        last = Some(text);
    }
    ensure!(
        last.is_none_or(|text| !text.starts_with('3')),
        "it ended with a failure"
    );
    let plane = world.plane.kubeconfig();
    for kind in ["pods", "secrets"] {
        wait::until("nothing is left", LIMIT, || async {
            let found = kubectl(&plane, &["get", kind, "-n", SYSTEM, "-o", "name"]).await?;
            ensure!(!found.contains("dashboard-shell"), "{found}");
            Ok(())
        })
        .await?;
    }
    let refused = apply::kubectl(&kubeconfig, &["get", "nodes"], "").await?;
    assert_ne!(refused.code, 0, "the token is still good");
    world.hub.process()?.still_running()
}

async fn open(world: &World, token: &str) -> Result<Box<Socket>> {
    let path = format!("/v3/clusters/{}?shell=true", world.id);
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("sec-websocket-protocol", "base64.channel.k8s.io"),
    ];
    match Socket::open_with(world.hub.address(), &path, &headers).await? {
        Opened::Stream(socket) => Ok(socket),
        Opened::Refused(status) => bail!("refused with {status}"),
    }
}

async fn type_in(shell: &mut Socket, keys: &str) -> Result<()> {
    shell
        .send_text(&format!("0{}", STANDARD.encode(keys)))
        .await
}

/// Reads on until that was shown.
async fn until(shell: &mut Socket, wanted: &str) -> Result<()> {
    let mut shown = String::new();
    while let Some(text) = shell
        .next_text()
        .await
        .with_context(|| format!("{wanted:?} was not shown: {shown:?}"))?
    {
        let content = STANDARD.decode(text.get(1..).unwrap_or_default())?;
        shown.push_str(&String::from_utf8_lossy(&content));
        if shown.contains(wanted) {
            return Ok(());
        }
    }
    bail!("{wanted:?} was not shown: {shown}")
}

/// The kubeconfig that the pod mounts, in a file.
async fn given(world: &World) -> Result<std::path::PathBuf> {
    let plane = world.plane.kubeconfig();
    let pod = kubectl(
        &plane,
        &[
            "get",
            "pods",
            "-n",
            SYSTEM,
            "-l",
            "drover.dev/shell",
            "-o",
            "name",
        ],
    )
    .await?;
    let name = pod.trim().trim_start_matches("pod/").to_owned();
    let data = kubectl(
        &plane,
        &[
            "get",
            "secret",
            &name,
            "-n",
            SYSTEM,
            "-o",
            "jsonpath={.data.kubeconfig}",
        ],
    )
    .await?;
    let path = world.hub.folder().join("shell.kubeconfig");
    std::fs::write(&path, STANDARD.decode(data.trim())?)?;
    Ok(path)
}
