//! Reads the kubeconfig of the Kubernetes that the hub keeps its state in.
//!
//! As `Kubeconfig::read_from` of the client library does, over plain values: its reader of YAML is made anew for each type it reads,
//! which makes the program 0.6 MB larger.

use std::path::Path;

use kube::config::{Kubeconfig, KubeconfigError};
use serde_json::Value;
use thiserror::Error;

const COMMAND: &str = "/exec/command";

/// Why a kubeconfig cannot be used.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
    #[error("cannot be read")]
    File(#[from] std::io::Error),
    /// The text is not shown, here and below: there are credentials in it.
    #[error("is not YAML (line {line})")]
    Yaml { line: u64 },
    #[error("is not a kubeconfig (expected {expected})")]
    Kind { expected: String },
    #[error("has parts that do not fit together")]
    Parts(#[from] KubeconfigError),
}

/// Reads a file; several documents are one, where the first that names something counts.
pub(super) fn read(path: &Path) -> Result<Kubeconfig, Unreadable> {
    let text = std::fs::read_to_string(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse(text.trim_start_matches('\u{feff}'), folder)
}

fn parse(text: &str, folder: &Path) -> Result<Kubeconfig, Unreadable> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| Unreadable::Yaml {
            line: error.location().map_or(0, |at| at.line()),
        })?;
    let mut whole: Option<Kubeconfig> = None;
    for mut document in documents.into_iter().filter(|read| !read.is_null()) {
        make_absolute(&mut document, folder);
        let part: Kubeconfig = serde_json::from_value(document).map_err(|error| wrong(&error))?;
        whole = Some(match whole {
            Some(before) => before.merge(part)?,
            None => part,
        });
    }
    Ok(whole.unwrap_or_default())
}

fn wrong(error: &serde_json::Error) -> Unreadable {
    let text = error.to_string();
    let (_, expected) = text
        .rsplit_once("expected ")
        .unwrap_or(("", "other fields"));
    Unreadable::Kind {
        expected: expected.to_owned(),
    }
}

fn make_absolute(document: &mut Value, folder: &Path) {
    for cluster in named(document, "clusters", "cluster") {
        lead_from(folder, cluster, "/certificate-authority");
    }
    for user in named(document, "users", "user") {
        for path in ["/client-certificate", "/client-key", "/tokenFile"] {
            lead_from(folder, user, path);
        }
        // A bare name is looked for in PATH.
        let command = user.pointer(COMMAND).and_then(Value::as_str);
        if command.is_some_and(|name| name.contains(std::path::MAIN_SEPARATOR)) {
            lead_from(folder, user, COMMAND);
        }
    }
}

fn named<'a>(
    document: &'a mut Value,
    list: &str,
    part: &'static str,
) -> impl Iterator<Item = &'a mut Value> {
    let items = document.get_mut(list).and_then(Value::as_array_mut);
    items
        .into_iter()
        .flatten()
        .filter_map(move |item| item.get_mut(part))
}

/// A relative path leads from `folder`; an absolute one stays.
fn lead_from(folder: &Path, object: &mut Value, pointer: &str) {
    if let Some(Value::String(path)) = object.pointer_mut(pointer)
        && !path.is_empty()
        && let Some(whole) = folder.join(&path).to_str()
    {
        whole.clone_into(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Config
current-context: one
contexts: [{name: one, context: {cluster: c, user: u}}]
---
clusters: [{name: c, cluster: {server: 'https://[::1]:6443', certificate-authority: ca.pem}}]
users:
- name: u
  user: {client-certificate: /abs/cert.pem, client-key: keys/key.pem, exec: {command: ./login, args: [a]}}
- name: v
  user: {token: secret, exec: {command: login}}
- name: w
";

    fn read_of(text: &str) -> Result<Kubeconfig, String> {
        parse(text, Path::new("/folder")).map_err(|error| error.to_string())
    }

    #[test]
    fn documents_are_one_and_paths_lead_from_the_folder() {
        let config = read_of(FILE).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("one"));
        let cluster = config.clusters[0].cluster.as_ref().unwrap();
        assert_eq!(
            cluster.certificate_authority.as_deref(),
            Some("/folder/ca.pem")
        );
        let users: Vec<_> = config
            .auth_infos
            .iter()
            .map(|named| named.auth_info.as_ref())
            .collect();
        let user = users[0].unwrap();
        assert_eq!(user.client_certificate.as_deref(), Some("/abs/cert.pem"));
        assert_eq!(user.client_key.as_deref(), Some("/folder/keys/key.pem"));
        let command = |at: usize| users[at].and_then(|user| user.exec.as_ref()?.command.as_deref());
        assert_eq!(command(0), Some("/folder/./login"));
        assert_eq!(command(1), Some("login"));
        assert!(users[2].is_none());
    }

    #[test]
    fn what_is_no_kubeconfig_is_told_without_what_stands_in_it() {
        for (text, expected) in [
            ("token: [secret", "is not YAML (line 1)"),
            (
                "clusters: secret",
                "is not a kubeconfig (expected a sequence)",
            ),
            (
                "apiVersion: v1\n---\napiVersion: v2",
                "has parts that do not fit",
            ),
        ] {
            let error = read_of(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        assert!(read_of("").unwrap().clusters.is_empty());
    }
}
