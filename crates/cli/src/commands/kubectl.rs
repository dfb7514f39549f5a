//! `drover kubectl`: kubectl with a kubeconfig of the chosen cluster.
//!
//! The kubeconfig is kept beside the configuration, readable by its owner alone, and used again while the server knows
//! its token; otherwise every command would leave a token behind.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use serde_json::Value;

use super::{Invocation, cluster, clusters, id};
use crate::{
    api::{Api, segment},
    arguments::KubectlArguments,
    configuration::write_private,
    error::CliError,
    output::text,
};

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    arguments: KubectlArguments,
) -> Result<ExitCode, CliError> {
    let api = invocation.api()?;
    let settings = invocation.context()?.1;
    let chosen = match (&arguments.cluster, &settings.cluster) {
        (Some(name), _) | (None, Some(name)) => cluster(&api, name).await?,
        (None, None) => only_cluster(&api).await?,
    };
    let id = id(&chosen)?.to_owned();
    if chosen["state"] != "active" {
        // kubectl tells of a refusal's status alone. The state may be behind, so it may try.
        let (name, state) = (text(&chosen["name"]), text(&chosen["state"]));
        let message = match text(&chosen["transitioningMessage"]) {
            nothing if nothing == "-" => String::new(),
            message => format!(": {message}"),
        };
        invocation.terminal.complain(&format!(
            "note: the cluster {name} ({id}) is {state}{message}"
        ));
    }
    let file = kept(invocation, &api, &id).await?.file;
    start(kubectl(&file, &arguments.arguments))
}

/// A kubeconfig that is kept, and what the server says of its token.
struct Kept {
    file: PathBuf,
    token: Option<Value>,
}

/// The kept kubeconfig of a cluster; a new one when there is none with a token that works.
async fn kept(invocation: &Invocation<'_>, api: &Api, id: &str) -> Result<Kept, CliError> {
    let folder = place(&invocation.file, invocation.context()?.0);
    let file = folder.join(format!("{}.yaml", file_name(id)));
    if let Some(token) = usable(api, &file).await? {
        return Ok(Kept {
            file,
            token: Some(token),
        });
    }
    let config = clusters::kubeconfig(api, id)
        .await
        .map_err(|error| match error {
            CliError::Refused {
                status: 403 | 404, ..
            } => CliError::NotFound {
                kind: "cluster",
                name: id.to_owned(),
            },
            other => other,
        })?;
    write_private(&file, config.as_bytes()).map_err(|source| CliError::File {
        file: file.clone(),
        source,
    })?;
    Ok(Kept { file, token: None })
}

fn read(file: &Path) -> Result<String, CliError> {
    fs::read_to_string(file).map_err(|source| CliError::File {
        file: file.to_owned(),
        source,
    })
}

/// The kept kubeconfig of a cluster, as text.
pub(super) async fn kubeconfig(
    invocation: &Invocation<'_>,
    api: &Api,
    id: &str,
) -> Result<String, CliError> {
    read(&kept(invocation, api, id).await?.file)
}

/// The token of a kept kubeconfig, and when it ends, if the server says.
pub(super) struct Credential {
    pub(super) token: String,
    pub(super) expires_at: Option<String>,
}

/// A credential for a cluster, from the kept kubeconfig.
pub(super) async fn credential(
    invocation: &Invocation<'_>,
    api: &Api,
    id: &str,
) -> Result<Credential, CliError> {
    let kept = kept(invocation, api, id).await?;
    let token = bearer(&read(&kept.file)?).ok_or_else(|| CliError::Answer {
        what: format!("the kubeconfig of {id}"),
        problem: "it holds no token".to_owned(),
    })?;
    let told = match kept.token {
        Some(told) => Some(told),
        None => match token.split_once(':') {
            Some((name, _)) => api.find(&format!("/v3/tokens/{}", segment(name))).await?,
            None => None,
        },
    };
    let expires_at = told
        .as_ref()
        .and_then(|token| token["expiresAt"].as_str())
        .filter(|at| !at.is_empty())
        .map(ToOwned::to_owned);
    Ok(Credential { token, expires_at })
}

/// The cluster to use when none was chosen: the only one there is besides the server's own.
async fn only_cluster(api: &Api) -> Result<Value, CliError> {
    let clusters = api.list("/v3/clusters").await?;
    let (own, others): (Vec<Value>, Vec<Value>) = clusters
        .into_iter()
        .partition(|cluster| cluster["id"] == "local");
    match (<[Value; 1]>::try_from(others), own.into_iter().next()) {
        (Ok([only]), _) => Ok(only),
        (Err(others), Some(own)) if others.is_empty() => Ok(own),
        _ => Err(CliError::Usage(
            "which cluster? choose one with: drover clusters use NAME, or: drover kubectl --cluster NAME …".to_owned(),
        )),
    }
}

/// The folder of a context's kubeconfigs.
fn place(configuration: &Path, context: &str) -> PathBuf {
    configuration
        .with_file_name("kubeconfigs")
        .join(file_name(context))
}

/// A file's name made of any text. Colons are escaped too: they separate the files that KUBECONFIG names.
fn file_name(text: &str) -> String {
    segment(text).replace(':', "%3A").replace("..", "%2E%2E")
}

/// Removes the kubeconfigs of a context.
pub(super) fn forget(configuration: &Path, context: &str) -> Result<(), CliError> {
    let folder = place(configuration, context);
    match fs::remove_dir_all(&folder) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(CliError::File {
            file: folder,
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The token of a kept kubeconfig, as the server tells of it, if the server still takes it.
async fn usable(api: &Api, file: &Path) -> Result<Option<Value>, CliError> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(CliError::File {
                file: file.to_owned(),
                source,
            });
        }
    };
    let Some(name) = token_name(&text) else {
        return Ok(None);
    };
    let token = api.find(&format!("/v3/tokens/{}", segment(&name))).await?;
    Ok(token.filter(|token| token["expired"] != true && token["enabled"] != false))
}

/// The first user's token.
fn bearer(kubeconfig: &str) -> Option<String> {
    let config: Value = serde_saphyr::from_str(kubeconfig).ok()?;
    Some(config["users"][0]["user"]["token"].as_str()?.to_owned())
}

/// The name in `name:key` of the first user's token.
fn token_name(kubeconfig: &str) -> Option<String> {
    Some(bearer(kubeconfig)?.split_once(':')?.0.to_owned())
}

fn kubectl(kubeconfig: &Path, arguments: &[OsString]) -> Command {
    let mut command = Command::new("kubectl");
    if names_several_files(kubeconfig) {
        // A flag holds any path, but kubectl starts no plugin with a flag before its name.
        command
            .env_remove("KUBECONFIG")
            .arg("--kubeconfig")
            .arg(kubeconfig);
    } else {
        command.env("KUBECONFIG", kubeconfig);
    }
    command.args(arguments);
    command
}

/// Whether KUBECONFIG would be taken for a list of files, which a home's path alone can make it.
fn names_several_files(path: &Path) -> bool {
    std::env::split_paths(path).nth(1).is_some()
}

/// Becomes kubectl, so that signals, the terminal and the exit code are its own.
#[cfg(unix)]
fn start(mut command: Command) -> Result<ExitCode, CliError> {
    use std::os::unix::process::CommandExt as _;
    Err(not_started(command.exec()))
}

#[cfg(not(unix))]
fn start(mut command: Command) -> Result<ExitCode, CliError> {
    let status = command.status().map_err(not_started)?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}

fn not_started(error: io::Error) -> CliError {
    if error.kind() == io::ErrorKind::NotFound {
        CliError::NoKubectl
    } else {
        CliError::Kubectl(error)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{kubectl, place, token_name};

    /// The form that servers write, with its broken line (recorded 03).
    const RECORDED: &str = "apiVersion: v1\nkind: Config\nclusters:\n- name: \"down1\"\n  cluster:\n    server: \"https://server.example:8443/k8s/clusters/c-96nwv\"\n    certificate-authority-data: \"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJ2VENDQ\\\n      VdPZ0F3SUJBZ0lCQURBS0JnZ3Foa2pPUFFRREFqQkdNUnd3R2dZRFZRUUtFeE5rZVc1aGJXbGoKY\"\n\nusers:\n- name: \"down1\"\n  user:\n    token: \"kubeconfig-user-p8sfqwsljj:secret\"\n\n\ncontexts:\n- name: \"down1\"\n  context:\n    user: \"down1\"\n    cluster: \"down1\"\n\ncurrent-context: \"down1\"\n";

    #[test]
    fn the_token_of_a_kubeconfig_is_found() {
        assert_eq!(
            token_name(RECORDED).as_deref(),
            Some("kubeconfig-user-p8sfqwsljj")
        );
        assert_eq!(token_name("users: []"), None);
        assert_eq!(token_name("]["), None);
    }

    #[test]
    fn kubectl_gets_its_arguments_as_they_are() {
        let command = kubectl(
            Path::new("/k/c-1.yaml"),
            &["get".into(), "pods".into(), "--output=wide".into()],
        );
        assert_eq!(command.get_program(), "kubectl");
        assert_eq!(
            command.get_args().collect::<Vec<_>>(),
            ["get", "pods", "--output=wide"]
        );
        let variables: Vec<_> = command.get_envs().collect();
        assert_eq!(
            variables,
            [("KUBECONFIG".as_ref(), Some("/k/c-1.yaml".as_ref()))]
        );
    }

    #[test]
    fn a_context_s_name_cannot_leave_its_folder() {
        let place = place(Path::new("/c/config.json"), "../../etc");
        assert!(
            place.starts_with("/c/kubeconfigs") && !place.to_string_lossy().contains(".."),
            "{place:?}"
        );
    }

    #[test]
    fn a_kubeconfig_is_one_file_whatever_its_path() {
        let place = place(Path::new("/c/config.json"), "127.0.0.1:8443");
        assert_eq!(place, Path::new("/c/kubeconfigs/127.0.0.1%3A8443"));
        let odd = Path::new("/home/a:b/k.yaml");
        let command = kubectl(odd, &["get".into()]);
        let arguments: Vec<_> = command.get_args().collect();
        assert_eq!(arguments, ["--kubeconfig", "/home/a:b/k.yaml", "get"]);
        let variables: Vec<_> = command.get_envs().collect();
        assert_eq!(variables, [("KUBECONFIG".as_ref(), None)]);
    }
}
