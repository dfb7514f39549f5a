//! Programs on client-go, controller-runtime, kube-rs and the official Python client, against both servers: what they see
//! has to be the same, line by line, and what is written down here.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use drover_testkit::{real, wait};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;

use crate::servers::Servers;

/// The longest a program may take on a loaded machine.
const LIMIT: Duration = Duration::from_secs(120);

/// What a program printed; it has to succeed.
async fn output(program: &Path, arguments: &[&str], servers: &Servers, side: usize) -> String {
    let run = tokio::process::Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", &servers.kubeconfigs[side])
        .env("HOME", servers.homes[side].path())
        // client-go: lists and watches of old are what the relist is about.
        .env(
            "KUBE_FEATURE_WatchListClient",
            (arguments != ["relist"]).to_string(),
        )
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, run)
        .await
        .expect("the program ends in time")
        .expect("the program starts");
    let whose = ["the real server", "the embedded server"][side];
    assert!(
        output.status.success(),
        "{arguments:?} on {whose} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

async fn check(program: &Path, arguments: &[&str], servers: &Servers, expected: &[&str]) {
    let (real, ours) = tokio::join!(
        output(program, arguments, servers, 0),
        output(program, arguments, servers, 1)
    );
    assert_eq!(ours, real, "{arguments:?} sees something else");
    assert_eq!(ours.lines().collect::<Vec<_>>(), expected, "{arguments:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn go_clients_see_the_same() {
    let servers = Servers::start().await;
    let program = real::component("clients-go").expect("the program is built");
    check(
        &program,
        &["informers"],
        &servers,
        &[
            "all: a: added:1 updated:2 updated:3",
            "all: b: added:1 deleted",
            "all: c: added:1 updated:2",
            "all: d: added:1",
            "selected: a: added:1 updated:2 deleted",
            "selected: b: added:1 deleted",
            "selected: c: added:1 updated:2",
            "selected: d: added:1",
            "deployments: web: added:1/i:1 updated:3/i:1 deleted",
            "held: c=2 d=1",
            "told again of c: 2",
        ],
    )
    .await;
    // The real one, just started, still holds its first revision; ours was started again, and holds none from before.
    let relisted = output(&program, &["relist"], &servers, 1).await;
    assert_eq!(relisted, "refused: true listed again: true\nheld: 2\n");
    check(
        &program,
        &["manager"],
        &servers,
        &[
            "without a name: Invalid",
            "leases passed on: 1",
            "greeted: early by second, late by second",
            "late: Hello, Eve (1)",
        ],
    )
    .await;
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_sees_the_same() {
    let servers = Servers::start().await;
    let python = real::python().expect("the client is installed");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients-python/clients.py");
    let script = script.to_str().expect("a path in UTF-8");
    check(
        &python,
        &[script],
        &servers,
        &[
            "patched: {'k': '2', 'l': '3'}",
            "listed: ['a'] ConfigMapList",
            "secrets in pages: 3",
            "made: one 1",
            "again: 409 Conflict",
            "too long: 422",
            "applied: one ['a', 'b'] ['python']",
            "conflict: 409",
            "merged: three 3",
            "status: True 3",
            "listed: ['n']",
            "seen: [('ADDED', 'n'), ('MODIFIED', 'n'), ('MODIFIED', 'n'), ('MODIFIED', 'n'), ('DELETED', 'n')]",
            "gone: 404",
            "watched: [('ADDED', '2'), ('MODIFIED', '4'), ('DELETED', '4')]",
        ],
    )
    .await;
    servers.stop().await;
}

/// Copies each marked ConfigMap of a namespace; spoilt copies are put right, and copies go with their source.
async fn copying(client: Client) -> Vec<String> {
    const SPACE: &str = "rs-controller";
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = serde_json::from_value(json!({"metadata": {"name": SPACE}})).expect("one");
    namespaces
        .create(&PostParams::default(), &namespace)
        .await
        .expect("a namespace");
    let maps: Api<ConfigMap> = Api::namespaced(client, SPACE);
    let source = |value: &str| -> ConfigMap {
        let object = json!({"metadata": {"name": "source", "labels": {"copied": "yes"}}, "data": {"k": value}});
        serde_json::from_value(object).expect("a ConfigMap")
    };
    maps.create(&PostParams::default(), &source("1"))
        .await
        .expect("the source");
    let marked = watcher::Config::default().labels("copied=yes");
    let reconcile = |object: Arc<ConfigMap>, maps: Arc<Api<ConfigMap>>| async move {
        let copy = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": object.data,
            "metadata": {"name": format!("{}-copy", object.name_any()), "ownerReferences": [{
                "apiVersion": "v1", "kind": "ConfigMap", "name": object.name_any(), "controller": true,
                "uid": object.uid().unwrap_or_default(),
            }]},
        });
        let apply = PatchParams::apply("copier").force();
        let name = format!("{}-copy", object.name_any());
        maps.patch(&name, &apply, &Patch::Apply(&copy)).await?;
        Ok::<_, kube::Error>(Action::await_change())
    };
    let controller = Controller::new(maps.clone(), marked)
        .owns(maps.clone(), watcher::Config::default())
        .run(
            reconcile,
            |_, _, _| Action::requeue(Duration::from_secs(1)),
            Arc::new(maps.clone()),
        )
        .for_each(|_| futures::future::ready(()));
    let story = async {
        let copy = async |value: &str| {
            wait::until(value, LIMIT, || async {
                let copy = maps.get("source-copy").await?;
                let held = copy.data.unwrap_or_default();
                anyhow::ensure!(held.get("k").map(String::as_str) == Some(value));
                Ok(copy.metadata.managed_fields.unwrap_or_default())
            })
            .await
            .expect("the copy")
        };
        let mut told = Vec::new();
        copy("1").await;
        maps.replace("source", &PostParams::default(), &source("2"))
            .await
            .expect("a change");
        copy("2").await;
        told.push("followed".to_owned());
        let spoil = Patch::Merge(json!({"data": {"k": "spoilt"}}));
        maps.patch("source-copy", &PatchParams::default(), &spoil)
            .await
            .expect("a change");
        let owners = copy("2").await;
        told.extend(owners.into_iter().map(|owner| {
            format!(
                "{} {}",
                owner.operation.unwrap_or_default(),
                owner.manager.unwrap_or_default()
            )
        }));
        maps.delete("source", &DeleteParams::default())
            .await
            .expect("the source goes");
        told
    };
    tokio::select! {
        () = controller => panic!("the controller ended"),
        told = story => told,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kube_rs_controller_sees_the_same() {
    let servers = Servers::start().await;
    let run = |side: usize| {
        let path = servers.kubeconfigs[side].clone();
        async move {
            let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
            let options = KubeConfigOptions::default();
            let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .expect("a configuration");
            copying(Client::try_from(config).expect("a client")).await
        }
    };
    let (real, ours) = tokio::join!(run(0), run(1));
    assert_eq!(ours, real);
    assert_eq!(ours, ["followed", "Apply copier"]);
    servers.stop().await;
}
