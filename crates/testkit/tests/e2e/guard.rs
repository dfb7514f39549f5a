//! What gives a namespace rights is guarded in the cluster itself, whichever way somebody takes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use drover_testkit::hub::{self, PASSWORD};
use drover_testkit::wait::until;
use serde_json::{Value, json};

use crate::fixture::{LIMIT, World, kubectl, turn};

/// Tries something with kubectl; what was said if it was refused by the policy.
async fn refused(config: &Path, arguments: &[&str]) -> Option<String> {
    let said = kubectl(config, arguments).await.err()?;
    let said = format!("{said:#}");
    said.contains("drover-namespaces").then_some(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_get_their_project_and_pod_security_from_those_who_may() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;
    let jane = world.person("jane").await?;
    let mut projects = Vec::new();
    for name in ["hers", "theirs"] {
        let http = &world.session.http;
        let project = json!({"name": name, "clusterId": world.id});
        let made = http
            .post("/v3/projects", &project)
            .await?
            .expect(201)?
            .json()?;
        projects.push(made["id"].as_str().context("no id")?.to_owned());
    }
    let [hers, theirs] = projects.as_slice() else {
        anyhow::bail!("two projects")
    };
    let binding = json!({"projectId": hers, "roleTemplateId": "project-owner", "userId": jane});
    let http = &world.session.http;
    http.post("/v3/projectroletemplatebindings", &binding)
        .await?
        .expect(201)?;
    let session = world.hub.login_as("jane", PASSWORD).await?;
    let config = world.hub.folder().join("jane");
    std::fs::write(&config, session.kubeconfig(&world.id).await?)?;

    let namespace = |name: &str, metadata: Value| {
        let mut metadata = metadata;
        metadata["name"] = json!(name);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        let file = world.hub.folder().join(format!("{name}.json"));
        std::fs::write(&file, object.to_string())?;
        Ok::<_, anyhow::Error>(file.display().to_string())
    };
    let of = |project: &str| json!({"annotations": {"field.cattle.io/projectId": project}});
    let (stolen, own) = (
        namespace("stolen", of(theirs))?,
        namespace("own", of(hers))?,
    );
    let create = ["create", "--dry-run=server", "-f", &stolen];
    // Policies count a moment after they are there.
    let said = until("the policy to be in force", LIMIT, || async {
        let said = refused(&config, &create).await;
        said.context("it was not refused")
    })
    .await?;
    ensure!(said.contains("those who manage"), "{said}");

    kubectl(&config, &["create", "-f", &own]).await?;
    // Her rights in it follow a moment later.
    until("rights in the namespace", LIMIT, || async {
        let label = ["label", "namespace", "own", "a=b", "--overwrite"];
        kubectl(&config, &label).await
    })
    .await?;
    let theirs_alone = theirs.split_once(':').context("no id")?.1;
    for change in [
        vec![
            "annotate".to_owned(),
            format!("field.cattle.io/projectId={theirs}"),
        ],
        // Network policies choose by the label.
        vec![
            "label".to_owned(),
            format!("field.cattle.io/projectId={theirs_alone}"),
        ],
        vec![
            "label".to_owned(),
            "pod-security.kubernetes.io/enforce=privileged".to_owned(),
        ],
    ] {
        let arguments = [
            change[0].as_str(),
            "namespace",
            "own",
            change[1].as_str(),
            "--overwrite",
        ];
        let said = refused(&config, &arguments).await;
        ensure!(said.is_some(), "{change:?} was not refused");
    }
    let path = format!("/v3/clusters/{}/namespaces/own", world.id);
    let labels = json!({"labels": {"pod-security.kubernetes.io/enforce": "privileged"}});
    session.http.put(&path, &labels).await?.expect(403)?;

    // Who administers the cluster may, through the hub and without it.
    let label = "pod-security.kubernetes.io/enforce=baseline";
    let through = world.kubeconfig().await?;
    kubectl(&through, &["label", "namespace", "own", label]).await?;
    let direct = world.plane.kubeconfig();
    let label = "pod-security.kubernetes.io/enforce-";
    kubectl(&direct, &["label", "namespace", "own", label]).await?;
    // Out of a project leads a way for those who may change the namespace.
    let leave = ["annotate", "namespace", "own", "field.cattle.io/projectId-"];
    kubectl(&config, &leave).await?;

    // With the cluster the policy goes.
    let path = format!("/v3/clusters/{}", world.id);
    let gone = world.session.http.delete(&path).await?;
    ensure!(gone.status.is_success(), "{}", gone.body);
    until("the policy to go", LIMIT, || async {
        let get = ["get", "validatingadmissionpolicies", "-o", "name"];
        let left = kubectl(&direct, &get).await?;
        ensure!(!left.contains("drover-namespaces"), "{left}");
        Ok(())
    })
    .await?;
    world.hub.process()?.still_running()
}
