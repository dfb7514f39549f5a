//! Kubeconfigs: ways to clusters through the hub, and around it (reference tunnel-and-import, section 6.4).
//!
//! Pure: names, URLs and credentials in, text out; written from typed objects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_types::management::{Cluster, Node};
use serde::Serialize;

/// The port of API servers that nobody says otherwise of.
const API_PORT: u16 = 6443;

/// How a kubeconfig's user proves who it is.
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
        /// Id of the cluster that the token is to be good for only.
        cluster: Option<String>,
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
    /// Base64 of the authorities to trust; empty: those of the system.
    pub ca: String,
    /// Which of the users goes there.
    pub user: String,
}

impl Entry {
    /// The cluster `id`, reached through `server` (scheme and host), which the base64 `ca` vouches for.
    #[must_use]
    pub fn through(server: &str, id: &str, name: &str, ca: &str, user: &str) -> Self {
        Self {
            name: name.to_owned(),
            server: format!("{}/k8s/clusters/{id}", server.trim_end_matches('/')),
            ca: ca.to_owned(),
            user: user.to_owned(),
        }
    }
}

/// The ways to a cluster's own API servers, if its endpoint is enabled: by the name it has, else by each node of the
/// control plane. The contexts are named after `name`, those that lead to nodes that are ready come first.
#[must_use]
pub fn direct(cluster: &Cluster, nodes: &[Node], name: &str, user: &str) -> Vec<Entry> {
    let endpoint = cluster.spec.auth_endpoint();
    if !endpoint.enabled {
        return Vec::new();
    }
    if !endpoint.fqdn.is_empty() {
        return vec![Entry {
            name: format!("{name}-fqdn"),
            server: format!("https://{}", endpoint.fqdn),
            ca: STANDARD.encode(endpoint.ca_certs),
            user: user.to_owned(),
        }];
    }
    let mut leading: Vec<&Node> = nodes
        .iter()
        .filter(|node| node.spec.control_plane)
        .collect();
    leading.sort_by_key(|node| (!is_ready(node), node.spec.requested_hostname.clone()));
    let entries = leading.into_iter().filter_map(|node| {
        let host = &node.spec.requested_hostname;
        let host = host.strip_prefix(&format!("{name}-")).unwrap_or(host);
        Some(Entry {
            name: format!("{name}-{host}"),
            server: format!("https://{}", with_port(&address(node)?)),
            ca: cluster.status.ca_cert.clone(),
            user: user.to_owned(),
        })
    });
    entries.collect()
}

fn is_ready(node: &Node) -> bool {
    let reported = node.status.other.get("internalNodeStatus");
    let conditions = reported.and_then(|status| status["conditions"].as_array());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// The node's address for people: the external one if it has one.
fn address(node: &Node) -> Option<String> {
    let reported = node.status.other.get("internalNodeStatus")?;
    let of = |kind: &str| {
        let all = reported["addresses"].as_array()?;
        let one = all.iter().find(|address| address["type"] == kind)?;
        one["address"].as_str().filter(|text| !text.is_empty())
    };
    of("ExternalIP")
        .or_else(|| of("InternalIP"))
        .map(str::to_owned)
}

fn with_port(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]:{API_PORT}")
    } else {
        format!("{host}:{API_PORT}")
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Config<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    kind: &'static str,
    clusters: Vec<NamedCluster<'a>>,
    users: Vec<NamedUser<'a>>,
    contexts: Vec<NamedContext<'a>>,
    current_context: &'a str,
}

#[derive(Serialize)]
struct NamedCluster<'a> {
    name: &'a str,
    cluster: ClusterEntry<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry<'a> {
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
    args: Vec<String>,
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

impl Credential {
    fn proof(&self) -> User<'_> {
        match self {
            Self::Token(token) => User {
                token: Some(token),
                exec: None,
            },
            Self::Command {
                server,
                user,
                cluster,
            } => {
                // The peer's command line reads `host:port` as no URL, or as one whose scheme is the host (cli v2.15.0,
                // `kubectl_token.go`, `runCredential`).
                let scheme = if server.contains(':') { "https://" } else { "" };
                let mut args = vec![
                    "token".to_owned(),
                    format!("--server={scheme}{server}"),
                    format!("--user={user}"),
                ];
                args.extend(cluster.iter().map(|cluster| format!("--cluster={cluster}")));
                User {
                    token: None,
                    exec: Some(Exec {
                        api_version: "client.authentication.k8s.io/v1beta1",
                        command: "rancher",
                        args,
                    }),
                }
            }
        }
    }
}

/// A kubeconfig with these clusters and users, by name.
///
/// # Errors
/// When it cannot be written as YAML.
pub fn text(
    entries: &[Entry],
    current: &str,
    users: &[(String, Credential)],
) -> Result<String, serde_saphyr::SerializeError> {
    let clusters = entries.iter().map(|entry| NamedCluster {
        name: &entry.name,
        cluster: ClusterEntry {
            server: &entry.server,
            certificate_authority_data: Some(entry.ca.as_str()).filter(|ca| !ca.is_empty()),
        },
    });
    let contexts = entries.iter().map(|entry| NamedContext {
        name: &entry.name,
        context: Context {
            user: &entry.user,
            cluster: &entry.name,
        },
    });
    let users = users.iter().map(|(name, credential)| NamedUser {
        name,
        user: credential.proof(),
    });
    let config = Config {
        api_version: "v1",
        kind: "Config",
        clusters: clusters.collect(),
        users: users.collect(),
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
        let entry = Entry::through("https://s:8443/", "c-skw55", "oracle1", ca, "oracle1");
        let users = [("oracle1".to_owned(), credential.clone())];
        let written = text(&[entry], "oracle1", &users);
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
        let command = |server: &str, cluster: Option<&str>| {
            let config = parsed(
                &Credential::Command {
                    server: server.to_owned(),
                    user: "user-1".to_owned(),
                    cluster: cluster.map(str::to_owned),
                },
                "",
            );
            let entry = &config["clusters"][0]["cluster"];
            assert_eq!(entry.get("certificate-authority-data"), None);
            config["users"][0]["user"]["exec"]["args"].clone()
        };
        assert_eq!(
            command("rancher.example.test", None),
            json!(["token", "--server=rancher.example.test", "--user=user-1"])
        );
        assert_eq!(
            command("s:8443", Some("c-1")),
            json!([
                "token",
                "--server=https://s:8443",
                "--user=user-1",
                "--cluster=c-1"
            ])
        );
    }

    fn cluster(endpoint: Value) -> Cluster {
        let mut cluster = Cluster::named("c-1");
        cluster
            .spec
            .other
            .insert("localClusterAuthEndpoint".to_owned(), endpoint);
        "Y2E=".clone_into(&mut cluster.status.ca_cert);
        cluster
    }

    fn node(name: &str, leads: bool, ready: &str, addresses: &Value) -> Node {
        let mut node = Node::named(&format!("machine-{name}"));
        name.clone_into(&mut node.spec.requested_hostname);
        node.spec.control_plane = leads;
        let reported =
            json!({"addresses": addresses, "conditions": [{"type": "Ready", "status": ready}]});
        node.status
            .other
            .insert("internalNodeStatus".to_owned(), reported);
        node
    }

    fn ways(endpoint: Value, nodes: &[Node]) -> Vec<(String, String, String)> {
        let entries = direct(&cluster(endpoint), nodes, "one", "one");
        let ways = entries
            .into_iter()
            .map(|entry| (entry.name, entry.server, entry.ca));
        ways.collect()
    }

    #[test]
    fn ways_around_the_hub_lead_to_the_name_or_to_each_leading_node() {
        let internal = |address: &str| json!([{"type": "InternalIP", "address": address}]);
        let nodes = [
            node("one-a", true, "False", &internal("10.0.0.1")),
            node("b", true, "True", &internal("fd00::1")),
            node("c", false, "True", &internal("10.0.0.3")),
            node(
                "d",
                true,
                "True",
                &json!([
                    {"type": "InternalIP", "address": "10.0.0.4"}, {"type": "ExternalIP", "address": "192.0.2.4"},
                ]),
            ),
            node("e", true, "True", &json!([])),
        ];
        let expected = |list: &[(&str, &str, &str)]| -> Vec<_> {
            let owned = list
                .iter()
                .map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned()));
            owned.collect()
        };
        assert_eq!(
            ways(json!({"enabled": true}), &nodes),
            expected(&[
                ("one-b", "https://[fd00::1]:6443", "Y2E="),
                ("one-d", "https://192.0.2.4:6443", "Y2E="),
                ("one-a", "https://10.0.0.1:6443", "Y2E="),
            ])
        );
        let named = json!({"enabled": true, "fqdn": "one.example:8443", "caCerts": "ca"});
        assert_eq!(
            ways(named, &nodes),
            expected(&[("one-fqdn", "https://one.example:8443", "Y2E=")])
        );
        let off = json!({"enabled": false, "fqdn": "one.example"});
        assert_eq!(ways(off, &nodes), []);
    }
}
