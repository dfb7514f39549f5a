//! Kubeconfigs that lead through the hub (reference tunnel-and-import, section 6.4).
//!
//! Pure: names, URLs and credentials in, text out; written from typed objects.

use serde::Serialize;

/// How the kubeconfig's user proves who it is.
#[derive(Clone)]
pub enum Credential {
    /// A token made for it.
    Token(String),
    /// The command line asks the server for a token when one is needed.
    Command {
        /// Host and port.
        server: String,
        /// Id of the user.
        user: String,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential")
    }
}

/// A cluster, and the context of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What people call it.
    pub name: String,
    /// Where it is reached.
    pub server: String,
}

impl Entry {
    /// The cluster `id`, reached through `server` (scheme and host).
    #[must_use]
    pub fn through(server: &str, id: &str, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            server: format!("{}/k8s/clusters/{id}", server.trim_end_matches('/')),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Config<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    clusters: Vec<NamedCluster<'a>>,
    users: [NamedUser<'a>; 1],
    contexts: Vec<NamedContext<'a>>,
    current_context: &'a str,
}

#[derive(Serialize)]
struct NamedCluster<'a> {
    name: &'a str,
    cluster: Cluster<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster<'a> {
    server: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_authority_data: Option<&'a str>,
}

#[derive(Serialize)]
struct NamedUser<'a> {
    name: &'a str,
    user: User<'a>,
}

#[derive(Default, Serialize)]
struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exec: Option<Exec>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    api_version: &'static str,
    command: &'static str,
    args: [String; 3],
}

#[derive(Serialize)]
struct NamedContext<'a> {
    name: &'a str,
    context: Context<'a>,
}

#[derive(Serialize)]
struct Context<'a> {
    user: &'a str,
    cluster: &'a str,
}

/// A kubeconfig with these clusters and one `user`. All are trusted by the base64 of `ca` (empty: by the system's roots).
///
/// # Errors
/// When it cannot be written as YAML.
pub fn text(
    entries: &[Entry],
    current: &str,
    user: &str,
    ca: &str,
    credential: &Credential,
) -> Result<String, serde_saphyr::SerializeError> {
    let proof = match credential {
        Credential::Token(token) => User {
            token: Some(token),
            exec: None,
        },
        Credential::Command { server, user } => User {
            token: None,
            exec: Some(Exec {
                api_version: "client.authentication.k8s.io/v1beta1",
                command: "rancher",
                args: [
                    "token".to_owned(),
                    format!("--server={server}"),
                    format!("--user={user}"),
                ],
            }),
        },
    };
    let clusters = entries.iter().map(|entry| NamedCluster {
        name: &entry.name,
        cluster: Cluster {
            server: &entry.server,
            certificate_authority_data: Some(ca).filter(|ca| !ca.is_empty()),
        },
    });
    let contexts = entries.iter().map(|entry| NamedContext {
        name: &entry.name,
        context: Context {
            user,
            cluster: &entry.name,
        },
    });
    let config = Config {
        api_version: "v1",
        kind: "Config",
        clusters: clusters.collect(),
        users: [NamedUser {
            name: user,
            user: proof,
        }],
        contexts: contexts.collect(),
        current_context: current,
    };
    serde_saphyr::to_string(&config)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(credential: &Credential, ca: &str) -> Value {
        let entry = Entry::through("https://s:8443/", "c-skw55", "oracle1");
        let written = text(&[entry], "oracle1", "oracle1", ca, credential);
        serde_saphyr::from_str(&written.unwrap()).unwrap()
    }

    #[test]
    fn it_reads_back_as_recorded() {
        let ca = "LS0t".repeat(100);
        assert_eq!(
            parsed(
                &Credential::Token("kubeconfig-user-p8sfqvx9xk:key".to_owned()),
                &ca
            ),
            json!({
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "oracle1", "cluster": {
                    "server": "https://s:8443/k8s/clusters/c-skw55", "certificate-authority-data": ca,
                }}],
                "users": [{"name": "oracle1", "user": {"token": "kubeconfig-user-p8sfqvx9xk:key"}}],
                "contexts": [{"name": "oracle1", "context": {"user": "oracle1", "cluster": "oracle1"}}],
                "current-context": "oracle1",
            })
        );
    }

    #[test]
    fn without_a_token_the_command_line_fetches_one() {
        let config = parsed(
            &Credential::Command {
                server: "s:8443".to_owned(),
                user: "user-1".to_owned(),
            },
            "",
        );
        assert_eq!(
            config["users"][0]["user"]["exec"]["args"],
            json!(["token", "--server=s:8443", "--user=user-1"])
        );
        assert_eq!(
            config["clusters"][0]["cluster"].get("certificate-authority-data"),
            None
        );
    }
}
