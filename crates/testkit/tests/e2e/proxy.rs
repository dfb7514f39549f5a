//! Work in an imported cluster through the proxy.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use drover_testkit::{apply, hub, real, wait};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use crate::fixture::{LIMIT, World, kubectl, turn};

#[tokio::test(flavor = "multi_thread")]
async fn people_work_in_an_imported_cluster() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;
    let kubeconfig = world.kubeconfig().await?;
    pods(&world, &kubeconfig).await?;
    watches(&kubeconfig).await?;
    slow_reader(&mut world, &kubeconfig).await?;
    identity(&world, &kubeconfig).await?;
    world.hub.process()?.still_running()
}

async fn client(kubeconfig: &std::path::Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// exec, logs -f, port-forward and cp, over whatever transport kubectl picks.
async fn pods(world: &World, kubeconfig: &std::path::Path) -> Result<()> {
    kubectl(kubeconfig, &["create", "namespace", "work"]).await?;
    kubectl(
        kubeconfig,
        &[
            "run",
            "tool",
            "-n",
            "work",
            "--image=registry.example/tool:1",
            "--restart=Never",
        ],
    )
    .await?;
    kubectl(
        kubeconfig,
        &[
            "wait",
            "-n",
            "work",
            "--for=condition=Ready",
            "pod/tool",
            "--timeout=60s",
        ],
    )
    .await?;

    let shell = [
        "exec",
        "-n",
        "work",
        "-i",
        "tool",
        "--",
        "sh",
        "-c",
        "head -c 15; echo $((6*7)) >&2; exit 3",
    ];
    let direct = apply::kubectl(&world.plane.kubeconfig(), &shell, "over the tunnel").await?;
    let output = apply::kubectl(kubeconfig, &shell, "over the tunnel").await?;
    assert_eq!(
        output.stdout, direct.stdout,
        "{} {}",
        direct.stderr, output.stderr
    );
    assert_eq!(output.stdout, "over the tunnel");
    assert!(output.stderr.contains("42"), "{}", output.stderr);
    // kwok tells failures from success, not the number.
    assert_ne!(output.code, 0);
    assert_eq!(output.code, direct.code);

    let mut follow = apply::command(kubeconfig, &["logs", "-f", "-n", "work", "tool"])?
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(follow.stdout.take().context("no pipe")?);
    let (sender, mut received) = tokio::sync::mpsc::channel(16);
    let reader = std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let first = tokio::time::timeout(LIMIT, received.recv())
        .await?
        .context("the log ended")?;
    assert!(first.contains("first line"), "{first}");
    let mut log = std::fs::File::options()
        .append(true)
        .open(world.plane.pod_log())?;
    writeln!(log, "2026-01-01T00:00:01.000000000Z stdout F second line")?;
    let second = tokio::time::timeout(LIMIT, received.recv())
        .await?
        .context("the log ended")?;
    assert!(second.contains("second line"), "{second}");
    follow.kill()?;
    follow.wait()?;
    reader
        .join()
        .map_err(|_| anyhow::anyhow!("the reader ended with a panic"))?;

    port_forward(world, &world.plane.kubeconfig()).context("port-forward without the proxy")?;
    port_forward(world, kubeconfig).context("port-forward")?;

    // kwok runs commands on this machine, so that the pod's file is a file here. It never closes a command's input,
    // which the tar of `kubectl cp` into a pod waits for; the bytes go in by a command that counts them.
    let folder = tempfile::tempdir()?;
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    let content: String = (0..1_000_000_u32)
        .map(|number| char::from(b'a' + (number % 23) as u8))
        .collect();
    let save = format!("head -c {} > {}", content.len(), there.display());
    let output = apply::kubectl(
        kubeconfig,
        &["exec", "-n", "work", "-i", "tool", "--", "sh", "-c", &save],
        &content,
    )
    .await?;
    output.success()?;
    assert!(
        std::fs::read_to_string(&there)? == content,
        "what went in is not what was sent"
    );
    kubectl(
        kubeconfig,
        &[
            "cp",
            &format!("work/tool:{}", there.display()),
            &back.display().to_string(),
        ],
    )
    .await?;
    assert!(
        std::fs::read_to_string(&back)? == content,
        "what came back is not what is there"
    );
    Ok(())
}

fn port_forward(world: &World, kubeconfig: &std::path::Path) -> Result<()> {
    let port = real::free_port()?;
    let arguments = [
        "port-forward",
        "-n",
        "work",
        "pod/tool",
        &format!("{port}:80"),
    ];
    let mut forward = apply::command(kubeconfig, &arguments)?
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    // Stays open: kubectl ends when it cannot print.
    let mut output = BufReader::new(forward.stdout.take().context("no pipe")?);
    output.read_line(&mut line)?;
    ensure!(line.contains("Forwarding from"), "{line}");
    let target = world.plane.forward_target().try_clone()?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = target.accept()?;
        let mut buffer = [0; 4];
        stream.read_exact(&mut buffer)?;
        stream.write_all(&buffer)
    });
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"ping")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"ping");
    echo.join()
        .map_err(|_| anyhow::anyhow!("the echo ended with a panic"))??;
    forward.kill()?;
    forward.wait()?;
    drop(output);
    Ok(())
}

/// 200 watches at once see one change each, and ordinary requests go on beside them.
async fn watches(kubeconfig: &std::path::Path) -> Result<()> {
    let client = client(kubeconfig).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "work");
    let version = maps
        .list(&kube::api::ListParams::default())
        .await?
        .metadata
        .resource_version
        .context("no revision")?;
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(
            maps.watch(&WatchParams::default().timeout(120), &version)
                .await?
                .boxed(),
        );
    }
    let start = Instant::now();
    Api::<Namespace>::all(client.clone()).get("work").await?;
    ensure!(
        start.elapsed() < Duration::from_secs(5),
        "a request waited {:?} behind watches",
        start.elapsed()
    );
    let map = ConfigMap {
        metadata: kube::api::ObjectMeta {
            name: Some("change".to_owned()),
            ..Default::default()
        },
        ..Default::default()
    };
    maps.create(&PostParams::default(), &map).await?;
    for mut stream in streams {
        let seen = tokio::time::timeout(LIMIT, async {
            while let Some(event) = stream.try_next().await? {
                if let WatchEvent::Added(map) = event
                    && map.metadata.name.as_deref() == Some("change")
                {
                    return Ok(());
                }
            }
            anyhow::bail!("the watch ended")
        });
        seen.await.context("a watch saw nothing")??;
    }
    Ok(())
}

/// A stream of 1 GB whose reader pauses: others go on, nobody stores it, and all of it arrives.
async fn slow_reader(world: &mut World, kubeconfig: &std::path::Path) -> Result<()> {
    const LENGTH: usize = 1_000_000_000;
    /// More than any buffer on the way may hold.
    const BOUND: u64 = 200_000_000;
    let count = LENGTH.to_string();
    let arguments = [
        "exec",
        "-n",
        "work",
        "tool",
        "--",
        "head",
        "-c",
        &count,
        "/dev/zero",
    ];
    let before = world.hub.process()?.resident_bytes()? + world.kubelet.resident_bytes().await?;
    let mut command = apply::command(kubeconfig, &arguments)?
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = command.stdout.take().context("no pipe")?;
    let mut first = [1; 4096];
    output.read_exact(&mut first)?;
    assert_eq!(first, [0; 4096]);

    // The pipe is full now, and so is all before it.
    let client = client(kubeconfig).await?;
    let namespaces = Api::<Namespace>::all(client);
    for _ in 0..50 {
        tokio::time::timeout(LIMIT, namespaces.get("work"))
            .await
            .context("a request waits behind a reader")??;
    }
    let during = world.hub.process()?.resident_bytes()? + world.kubelet.resident_bytes().await?;
    ensure!(
        during < before + BOUND,
        "memory grew from {before} to {during} bytes behind a reader that pauses"
    );

    let rest =
        tokio::task::spawn_blocking(move || std::io::copy(&mut output, &mut std::io::sink()));
    let received = rest.await?? + first.len() as u64;
    assert_eq!(received, LENGTH as u64);
    ensure!(command.wait()?.success(), "kubectl exec failed");
    Ok(())
}

/// The cluster sees the user, not the agent; what a client claims about itself is not believed.
async fn identity(world: &World, kubeconfig: &std::path::Path) -> Result<()> {
    let me = world
        .session
        .http
        .get("/v3/users?me=true")
        .await?
        .expect(200)?
        .json()?;
    let me = me["data"][0]["id"].as_str().context("no user")?.to_owned();
    let seen = kubectl(kubeconfig, &["auth", "whoami", "-o", "json"]).await?;
    let seen: serde_json::Value = serde_json::from_str(&seen)?;
    assert_eq!(seen["status"]["userInfo"]["username"], me.as_str());
    let path = format!(
        "/k8s/clusters/{}/apis/authentication.k8s.io/v1/selfsubjectreviews",
        world.id
    );
    let review =
        serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let request = http::Request::post(&path)
        .header("content-type", "application/json")
        .header("x-remote-user", "system:admin")
        .header("x-remote-group", "system:masters")
        .header("connection", "close, impersonate-user, authorization")
        .body(serde_json::to_vec(&review)?)?;
    let answer = world
        .session
        .http
        .send(request)
        .await?
        .expect(201)?
        .json()?;
    assert_eq!(answer["status"]["userInfo"]["username"], me.as_str());
    let groups = answer["status"]["userInfo"]["groups"].to_string();
    assert!(!groups.contains("system:masters"), "{groups}");
    let anonymous = world
        .hub
        .http(None)?
        .get(&format!("/k8s/clusters/{}/version", world.id))
        .await?;
    assert_eq!(anonymous.status, 401, "{}", anonymous.body);

    // A deleted token is refused from the next request on, and its watches end.
    let token = world
        .session
        .http
        .post("/v3/tokens", &serde_json::json!({"description": "short"}))
        .await?
        .expect(201)?
        .json()?;
    let bearer = token["token"].as_str().context("no token")?.to_owned();
    let http = world.hub.http(Some(&bearer))?;
    let namespaces = format!("/k8s/clusters/{}/api/v1/namespaces", world.id);
    http.get(&namespaces).await?.expect(200)?;
    let watching = tokio::spawn({
        let (http, path) = (
            http.clone(),
            format!("{namespaces}?watch=true&timeoutSeconds=600"),
        );
        async move { http.get(&path).await }
    });
    let id = token["id"].as_str().context("no id")?;
    world
        .session
        .http
        .delete(&format!("/v3/tokens/{id}"))
        .await?
        .expect(204)?;
    wait::until(
        "the deleted token to be refused",
        Duration::from_secs(1),
        || async {
            let answer = http.get(&namespaces).await?;
            ensure!(
                matches!(answer.status.as_u16(), 401 | 403),
                "{}",
                answer.status
            );
            Ok(())
        },
    )
    .await?;
    // The end may be a clean one or an error; what counts is that it comes.
    let ended = tokio::time::timeout(LIMIT, watching)
        .await
        .context("the watch of a deleted token goes on")?;
    drop(ended?);
    Ok(())
}
