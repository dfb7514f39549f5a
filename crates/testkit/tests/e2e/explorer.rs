//! The explorer over a really imported cluster: its own kinds, its own RBAC, its own watch.

use anyhow::{Context as _, Result};
use drover_testkit::{hub, wait};
use serde_json::{Value, json};

use crate::fixture::{LIMIT, World, kubectl, turn};

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_cluster_is_explored_and_changed() -> Result<()> {
    let _turn = turn().await;
    let mut world = World::start(hub::Config::default()).await?;
    let kubeconfig = world.plane.kubeconfig();
    let at = format!("/k8s/clusters/{}/v1", world.id);
    kubectl(&kubeconfig, &["create", "namespace", "shop"]).await?;
    schemas(&world, &at).await?;
    lists(&world, &at, &kubeconfig).await?;
    writes(&world, &at, &kubeconfig).await?;
    refusals(&world, &at).await?;
    world.hub.process()?.still_running()
}

async fn get(world: &World, path: &str) -> Result<Value> {
    world.session.http.get(path).await?.expect(200)?.json()
}

fn ids(list: &Value) -> Vec<&str> {
    let items = list["data"].as_array().into_iter().flatten();
    items.filter_map(|item| item["id"].as_str()).collect()
}

/// A real cluster's discovery and columns.
async fn schemas(world: &World, at: &str) -> Result<()> {
    let schema = get(world, &format!("{at}/schemas/apps.deployment")).await?;
    let columns: Vec<&str> = schema["attributes"]["columns"]
        .as_array()
        .context("no columns")?
        .iter()
        .filter_map(|column| column["name"].as_str())
        .collect();
    assert!(
        columns.starts_with(&["Name", "Ready", "Up-to-date"]),
        "{columns:?}"
    );
    let all = get(world, &format!("{at}/schemas")).await?;
    assert!(ids(&all).contains(&"apps.deployment") && ids(&all).contains(&"node"));
    let definition = get(world, &format!("{at}/schemaDefinitions/apps.deployment")).await?;
    assert_eq!(
        definition["definitionType"],
        "io.k8s.api.apps.v1.Deployment"
    );
    Ok(())
}

/// What kubectl does shows in lists, through the cluster's own watch.
async fn lists(world: &World, at: &str, kubeconfig: &std::path::Path) -> Result<()> {
    let path = format!("{at}/configmaps/shop?filter=metadata.name~stock-&sort=-metadata.name");
    assert_eq!(ids(&get(world, &path).await?), Vec::<&str>::new());
    for name in ["stock-a", "stock-b", "stock-c"] {
        kubectl(
            kubeconfig,
            &[
                "create",
                "configmap",
                name,
                "-n",
                "shop",
                "--from-literal=k=v",
            ],
        )
        .await?;
    }
    wait::until("the copy follows the cluster", LIMIT, || async {
        let list = get(world, &path).await?;
        anyhow::ensure!(
            ids(&list) == ["shop/stock-c", "shop/stock-b", "shop/stock-a"],
            "{list}"
        );
        Ok(())
    })
    .await?;
    let page = get(world, &format!("{path}&pagesize=1&page=2")).await?;
    assert_eq!(
        (ids(&page), page["count"].as_u64()),
        (vec!["shop/stock-b"], Some(3))
    );
    assert_eq!(page["data"][0]["metadata"]["fields"][1], 1, "{page}");
    kubectl(
        kubeconfig,
        &["delete", "configmap", "stock-b", "-n", "shop"],
    )
    .await?;
    wait::until("the copy forgets what is gone", LIMIT, || async {
        let list = get(world, &path).await?;
        anyhow::ensure!(ids(&list) == ["shop/stock-c", "shop/stock-a"], "{list}");
        Ok(())
    })
    .await?;
    let pods = get(world, &format!("{at}/pods/cattle-system")).await?;
    assert!(
        ids(&pods)
            .iter()
            .any(|id| id.starts_with("cattle-system/cattle-cluster-agent")),
        "{pods}"
    );
    let found = get(world, "/v1/search?q=cattle-cluster-agent").await?;
    assert!(
        ids(&found).contains(&"cattle-system/cattle-cluster-agent"),
        "{found}"
    );
    assert_eq!(found["unreachable"], json!([]), "{found}");
    Ok(())
}

/// What is written here is in the cluster, and in the next list.
async fn writes(world: &World, at: &str, kubeconfig: &std::path::Path) -> Result<()> {
    let http = &world.session.http;
    for round in 0..5 {
        let name = format!("made-{round}");
        let body = json!({"metadata": {"name": name, "namespace": "shop"}, "data": {"k": "v"}});
        http.post(&format!("{at}/configmaps"), &body)
            .await?
            .expect(201)?;
        let list = get(
            world,
            &format!("{at}/configmaps/shop?filter=metadata.name={name}"),
        )
        .await?;
        assert_eq!(ids(&list), [format!("shop/{name}")]);
    }
    let seen = kubectl(
        kubeconfig,
        &["get", "configmap", "made-4", "-n", "shop", "-o", "name"],
    )
    .await?;
    assert_eq!(seen.trim(), "configmap/made-4");
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: b}\n";
    let apply = format!(
        "/v1/management.cattle.io.clusters/{}?action=apply",
        world.id
    );
    let input = json!({"yaml": yaml, "defaultNamespace": "shop"});
    let applied = http.post(&apply, &input).await?.expect(200)?.json()?;
    assert_eq!(ids(&applied), ["shop/applied"]);
    Ok(())
}

async fn refusals(world: &World, at: &str) -> Result<()> {
    let nobody = world.hub.http(None)?;
    for path in [format!("{at}/pods"), "/v1/namespaces".to_owned()] {
        nobody.get(&path).await?.expect(401)?;
    }
    world
        .session
        .http
        .get("/k8s/clusters/c-none/v1/pods")
        .await?
        .expect(404)?;
    world
        .session
        .http
        .get(&format!("{at}/nosuchtype"))
        .await?
        .expect(404)?;
    Ok(())
}
