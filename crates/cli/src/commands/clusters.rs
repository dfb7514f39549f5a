//! `drover clusters`.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{Invocation, cluster, confirm, credential, id, kubectl};
use crate::{
    api::{Api, segment},
    arguments::{ClusterCommand, Format},
    configuration::write_private,
    error::CliError,
    output::{self, Column, text},
};

const COLUMNS: &[Column] = &[
    ("ID", |cluster| text(&cluster["id"])),
    ("NAME", |cluster| text(&cluster["name"])),
    ("STATE", |cluster| text(&cluster["state"])),
    ("PROVIDER", provider),
    ("VERSION", |cluster| text(&cluster["version"]["gitVersion"])),
    ("NODES", |cluster| text(&cluster["nodeCount"])),
    ("CPU", |cluster| share(cluster, "cpu")),
    ("MEMORY", |cluster| share(cluster, "memory")),
    ("MESSAGE", |cluster| text(&cluster["transitioningMessage"])),
];

fn provider(cluster: &Value) -> String {
    match text(&cluster["provider"]) {
        unknown if unknown == "-" => text(&cluster["driver"]),
        provider => provider,
    }
}

/// What is requested of what there is.
fn share(cluster: &Value, resource: &str) -> String {
    match (
        cluster["requested"][resource].as_str(),
        cluster["allocatable"][resource].as_str(),
    ) {
        (Some(requested), Some(allocatable)) if allocatable != "0" => {
            format!("{requested}/{allocatable}")
        }
        _ => "-".to_owned(),
    }
}

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: ClusterCommand,
) -> Result<(), CliError> {
    match command {
        ClusterCommand::Ls => {
            let clusters = invocation.api()?.list("/v3/clusters").await?;
            output::list(
                invocation.terminal,
                invocation.global.output,
                &clusters,
                COLUMNS,
            )
        }
        ClusterCommand::Show { cluster: name } => show(invocation, &name).await,
        ClusterCommand::Import {
            name,
            labels,
            description,
            wait,
            timeout,
        } => {
            let created = create(invocation, &name, &labels, description).await?;
            let wait = wait.then(|| Duration::from_secs(timeout));
            import(invocation, &created, wait).await
        }
        ClusterCommand::Delete { cluster: name, yes } => {
            let api = invocation.api()?;
            let found = cluster(&api, &name).await?;
            let id = id(&found)?;
            let question = format!(
                "Remove the cluster {} ({id}) from the server?",
                text(&found["name"])
            );
            confirm(invocation.terminal, yes, &question)?;
            api.delete(&format!("/v3/clusters/{}", segment(id))).await?;
            invocation.say(&format!("Cluster {name} ({id}) is being removed.\n"))
        }
        ClusterCommand::Kubeconfig {
            cluster: name,
            file,
            exec,
        } => {
            let api = invocation.api()?;
            let found = cluster(&api, &name).await?;
            let config = if exec {
                let context = invocation.context()?.0.to_owned();
                // The kept one serves the plugin too, so that no other token is left behind.
                let kept = kubectl::kubeconfig(invocation, &api, id(&found)?).await?;
                credential::with_plugin(&kept, &context, id(&found)?)?
            } else {
                kubeconfig(&api, id(&found)?).await?
            };
            match file {
                None => invocation.say(&config),
                Some(file) => {
                    write_private(&file, config.as_bytes()).map_err(|source| CliError::File {
                        file: file.clone(),
                        source,
                    })?;
                    invocation.say(&format!(
                        "Wrote {}; use it with: kubectl --kubeconfig {0}\n",
                        file.display()
                    ))
                }
            }
        }
        ClusterCommand::Use { cluster: name } => {
            let found = cluster(&invocation.api()?, &name).await?;
            let id = id(&found)?.to_owned();
            let context = invocation.context()?.0.to_owned();
            if let Some(context) = invocation.configuration.contexts.get_mut(&context) {
                context.cluster = Some(id.clone());
            }
            invocation.save()?;
            invocation.say(&format!(
                "drover kubectl now works in {} ({id}).\n",
                text(&found["name"])
            ))
        }
    }
}

/// A new kubeconfig with its own token.
pub(super) async fn kubeconfig(api: &Api, id: &str) -> Result<String, CliError> {
    let location = format!("/v3/clusters/{}?action=generateKubeconfig", segment(id));
    let answer = api.post(&location, &json!({})).await?;
    answer["config"]
        .as_str()
        .map(ToOwned::to_owned)
        .ok_or_else(|| CliError::Answer {
            what: format!("POST {location}"),
            problem: "it holds no kubeconfig".to_owned(),
        })
}

async fn show(invocation: &mut Invocation<'_>, name: &str) -> Result<(), CliError> {
    let cluster = cluster(&invocation.api()?, name).await?;
    if invocation.format() != Format::Table {
        return output::object(invocation.terminal, invocation.global.output, &cluster);
    }
    let labels = cluster["labels"].as_object().map(|labels| {
        labels
            .iter()
            .map(|(key, value)| format!("{key}={}", text(value)))
            .collect::<Vec<_>>()
            .join(" ")
    });
    let pair = |key: &str, value: String| vec![format!("{key}:"), value];
    let rows = [
        pair("Name", text(&cluster["name"])),
        pair("Id", text(&cluster["id"])),
        pair("Description", text(&cluster["description"])),
        pair("State", text(&cluster["state"])),
        pair("Message", text(&cluster["transitioningMessage"])),
        pair("Provider", provider(&cluster)),
        pair("Version", text(&cluster["version"]["gitVersion"])),
        pair("Nodes", text(&cluster["nodeCount"])),
        pair("CPU", share(&cluster, "cpu")),
        pair("Memory", share(&cluster, "memory")),
        pair("Pods", share(&cluster, "pods")),
        pair("API endpoint", text(&cluster["apiEndpoint"])),
        pair("Agent image", text(&cluster["agentImage"])),
        pair("Created", text(&cluster["created"])),
        pair(
            "Labels",
            labels
                .filter(|labels| !labels.is_empty())
                .unwrap_or_else(|| "-".to_owned()),
        ),
    ];
    let mut page = output::table(&rows);
    if let Some(conditions) = cluster["conditions"]
        .as_array()
        .filter(|conditions| !conditions.is_empty())
    {
        let mut rows: Vec<Vec<String>> = vec![
            ["CONDITION", "STATUS", "SINCE", "REASON", "MESSAGE"]
                .map(ToOwned::to_owned)
                .to_vec(),
        ];
        rows.extend(conditions.iter().map(|condition| {
            ["type", "status", "lastUpdateTime", "reason", "message"]
                .map(|field| text(&condition[field]))
                .to_vec()
        }));
        page.push('\n');
        page.push_str(&output::table(&rows));
    }
    invocation.say(&page)
}

async fn create(
    invocation: &Invocation<'_>,
    name: &str,
    labels: &[String],
    description: Option<String>,
) -> Result<Value, CliError> {
    let mut map = Map::new();
    for label in labels {
        let Some((key, value)) = label.split_once('=') else {
            return Err(CliError::Usage(format!(
                "--label {label:?} is not of the form KEY=VALUE"
            )));
        };
        map.insert(key.to_owned(), value.into());
    }
    let mut body = json!({"type": "cluster", "name": name});
    if !map.is_empty() {
        body["labels"] = Value::Object(map);
    }
    if let Some(description) = description {
        body["description"] = description.into();
    }
    invocation.api()?.post("/v3/clusters", &body).await
}

const POLL: Duration = Duration::from_secs(1);
/// The registration token follows the cluster at once when the server is well.
const TOKEN_DEADLINE: Duration = Duration::from_secs(60);

async fn import(
    invocation: &mut Invocation<'_>,
    created: &Value,
    wait: Option<Duration>,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    let id = id(created)?.to_owned();
    let token = registration(&api, &id).await?;
    if invocation.format() == Format::Table {
        invocation.say(&format!(
            "Cluster {} ({id}) is made. Connect it by running this where kubectl reaches it:\n\n  {}\n\n\
             If the server's certificate is signed by a private CA:\n\n  {}\n\n",
            text(&created["name"]),
            text(&token["command"]),
            text(&token["insecureCommand"]),
        ))?;
    }
    let Some(patience) = wait else {
        if invocation.format() != Format::Table {
            let both = json!({"cluster": created, "registrationToken": token});
            return output::object(invocation.terminal, invocation.global.output, &both);
        }
        return Ok(());
    };
    let deadline = Instant::now() + patience;
    let mut last = String::new();
    loop {
        let cluster = api.get(&format!("/v3/clusters/{}", segment(&id))).await?;
        let (state, message) = (
            text(&cluster["state"]),
            text(&cluster["transitioningMessage"]),
        );
        let connected = condition(&cluster, "Connected") == Some("True")
            || condition(&cluster, "Ready") == Some("True");
        if state == "active" && connected {
            if invocation.format() != Format::Table {
                return output::object(invocation.terminal, invocation.global.output, &cluster);
            }
            return invocation.say(&format!("Cluster {id} is active.\n"));
        }
        let seen = if message == "-" {
            state
        } else {
            format!("{state}: {message}")
        };
        if seen != last {
            invocation.terminal.complain(&format!("waiting: {seen}"));
            last = seen;
        }
        if Instant::now() >= deadline {
            let what = format!("the cluster {id} to become active");
            return Err(CliError::Waited {
                what,
                seconds: patience.as_secs(),
                last,
            });
        }
        sleep(POLL).await;
    }
}

/// The registration token with its commands, once the server has filled them in.
async fn registration(api: &Api, id: &str) -> Result<Value, CliError> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("clusterId", id)
        .finish();
    let deadline = Instant::now() + TOKEN_DEADLINE;
    loop {
        let tokens = api
            .list(&format!("/v3/clusterRegistrationTokens?{query}"))
            .await?;
        let ready = tokens.into_iter().find(|token| {
            token["clusterId"] == id
                && token["command"]
                    .as_str()
                    .is_some_and(|command| !command.is_empty())
        });
        if let Some(token) = ready {
            return Ok(token);
        }
        if Instant::now() >= deadline {
            return Err(CliError::Waited {
                what: format!("the registration command of {id}"),
                seconds: TOKEN_DEADLINE.as_secs(),
                last: "none (an empty setting server-url leaves it out)".to_owned(),
            });
        }
        sleep(POLL).await;
    }
}

fn condition<'a>(cluster: &'a Value, kind: &str) -> Option<&'a str> {
    cluster["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)?["status"]
        .as_str()
}
