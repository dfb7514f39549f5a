//! Applying manifests: by kubectl, the real one, as people do it, or without it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};

use crate::real;

/// What kubectl did.
#[derive(Clone, Debug)]
pub struct Output {
    /// Exit code; -1 after a signal.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Output {
    /// Fails with the complaint unless kubectl succeeded; gives what it printed.
    ///
    /// # Errors
    ///
    /// When it failed.
    pub fn success(self) -> Result<String> {
        ensure!(
            self.code == 0,
            "kubectl ended with {}: {}{}",
            self.code,
            self.stderr,
            self.stdout
        );
        Ok(self.stdout)
    }
}

/// A kubectl command with a kubeconfig, not yet run.
///
/// # Errors
///
/// When kubectl was not built.
pub fn command(kubeconfig: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(real::component("kubectl")?);
    command
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(arguments)
        .env_remove("KUBECONFIG");
    // kubectl caches discovery below HOME; a cache of another test's server of the same address would lie.
    if let Some(folder) = kubeconfig.parent() {
        command.env("HOME", folder);
    }
    Ok(command)
}

/// Runs kubectl to its end, with `input` on its standard input.
///
/// # Errors
///
/// When it cannot be run at all.
pub async fn kubectl(kubeconfig: &Path, arguments: &[&str], input: &str) -> Result<Output> {
    let mut command = command(kubeconfig, arguments)?;
    let input = input.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start kubectl")?;
        let mut pipe = child.stdin.take().context("no pipe to kubectl")?;
        // kubectl may end without reading; its exit code tells why.
        let writer = std::thread::spawn(move || pipe.write_all(input.as_bytes()).is_ok());
        let output = child.wait_with_output().context("wait for kubectl")?;
        writer
            .join()
            .map_err(|_| anyhow::anyhow!("the writer to kubectl ended with a panic"))?;
        Ok(Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    })
    .await
    .context("the thread that ran kubectl")?
}

/// `kubectl apply -f -` with a manifest.
///
/// # Errors
///
/// When kubectl fails.
pub async fn apply(kubeconfig: &Path, manifest: &str) -> Result<String> {
    kubectl(kubeconfig, &["apply", "-f", "-"], manifest)
        .await?
        .success()
}

/// Applies a manifest without kubectl, for the demo on a machine that has none.
///
/// # Errors
///
/// When a document is no object, its kind is not served, or the server refuses it.
pub async fn apply_documents(client: &Client, manifest: &str) -> Result<()> {
    let documents: Vec<DynamicObject> =
        serde_saphyr::from_multiple(manifest).context("read the manifest")?;
    for object in documents {
        let types = object.types.as_ref().context("a document without a kind")?;
        let kind =
            kube::core::GroupVersionKind::try_from(types).context("an unusual apiVersion")?;
        let (resource, capabilities) = kube::discovery::pinned_kind(client, &kind).await?;
        let api: Api<DynamicObject> = match (capabilities.scope, object.namespace()) {
            (kube::discovery::Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(client.clone(), &namespace, &resource)
            }
            _ => Api::all_with(client.clone(), &resource),
        };
        let name = object.name_any();
        api.patch(
            &name,
            &PatchParams::apply("drover-demo").force(),
            &Patch::Apply(&object),
        )
        .await
        .with_context(|| format!("apply {} {name}", kind.kind))?;
    }
    Ok(())
}
