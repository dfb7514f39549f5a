//! What the hub's Kubernetes API must hold before anything else runs: namespaces and kinds.

use std::time::Duration;

use anyhow::{Context, Result};
use drover_types::names::{GLOBAL_DATA_NAMESPACE, PASSWORDS_NAMESPACE, SYSTEM_NAMESPACE};
use futures::future;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::runtime::conditions::is_crd_established;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};

/// Who writes what is installed.
const MANAGER: &str = "drover";
/// Kinds that are installed at once, so that they share the syncs of the disk.
const AT_ONCE: usize = 32;
/// How long a real API server may take to serve a new kind.
const ESTABLISH_LIMIT: Duration = Duration::from_secs(30);

/// Makes the namespaces of the hub's own objects.
///
/// # Errors
///
/// When the API refuses one.
pub(crate) async fn namespaces(client: &Client) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let ours = [
        SYSTEM_NAMESPACE,
        GLOBAL_DATA_NAMESPACE,
        PASSWORDS_NAMESPACE,
        "cattle-tokens",
    ];
    future::try_join_all(ours.map(|name| namespace(&namespaces, name))).await?;
    Ok(())
}

async fn namespace(namespaces: &Api<Namespace>, name: &str) -> Result<()> {
    let namespace = serde_json::json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "annotations": {"management.cattle.io/system-namespace": "true"}},
    });
    namespaces
        .patch(
            name,
            &PatchParams::apply(MANAGER).force(),
            &Patch::Apply(&namespace),
        )
        .await
        .with_context(|| format!("make the namespace {name}"))?;
    Ok(())
}

/// Installs the kinds and waits until they are served.
///
/// # Errors
///
/// When the API refuses one or does not serve it in time.
pub(crate) async fn kinds(client: &Client) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let all = drover_types::crds::all();
    let install = async |definition: &CustomResourceDefinition| {
        let name = definition.metadata.name.as_deref().unwrap_or_default();
        definitions
            .patch(
                name,
                &PatchParams::apply(MANAGER).force(),
                &Patch::Apply(definition),
            )
            .await
            .with_context(|| format!("install the kind {name}"))
            .map(drop)
    };
    stream::iter(&all)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, install)
        .await?;
    for definition in &all {
        let name = definition.metadata.name.as_deref().unwrap_or_default();
        let established = await_condition(definitions.clone(), name, is_crd_established());
        tokio::time::timeout(ESTABLISH_LIMIT, established)
            .await
            .with_context(|| format!("the kind {name} was not served within {ESTABLISH_LIMIT:?}"))?
            .with_context(|| format!("wait for the kind {name}"))?;
    }
    Ok(())
}
