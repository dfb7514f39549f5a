//! The kubeconfig a cluster gives to a person (reference tunnel-and-import, section 6.4).
//!
//! Pure: names, URLs and credentials in, text out; written from typed objects.

use serde::Serialize;

/// How the kubeconfig's user proves who it is.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// A token made for it.
    Token(String),
    /// The command line asks the server for a token when one is needed.
    Command { server: String, user: String },
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Config<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    clusters: [NamedCluster<'a>; 1],
    users: [NamedUser<'a>; 1],
    contexts: [NamedContext<'a>; 1],
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
    server: String,
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

/// The kubeconfig of the cluster `id`, shown as `name`, reached through `server` (scheme and host), which is trusted by
/// the base64 of `ca` (empty: by the system's roots).
pub(crate) fn text(
    name: &str,
    id: &str,
    server: &str,
    ca: &str,
    credential: &Credential,
) -> Result<String, serde_saphyr::SerializeError> {
    let user = match credential {
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
    let config = Config {
        api_version: "v1",
        kind: "Config",
        clusters: [NamedCluster {
            name,
            cluster: Cluster {
                server: format!("{}/k8s/clusters/{id}", server.trim_end_matches('/')),
                certificate_authority_data: Some(ca).filter(|ca| !ca.is_empty()),
            },
        }],
        users: [NamedUser { name, user }],
        contexts: [NamedContext {
            name,
            context: Context {
                user: name,
                cluster: name,
            },
        }],
        current_context: name,
    };
    serde_saphyr::to_string(&config)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(credential: &Credential, ca: &str) -> Value {
        serde_saphyr::from_str(
            &text("oracle1", "c-skw55", "https://s:8443/", ca, credential).unwrap(),
        )
        .unwrap()
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
