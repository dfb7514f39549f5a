//! `drover nodes`.

use serde_json::{Value, json};

use super::{Invocation, cluster, confirm, id, projects::of_cluster};
use crate::{
    api::{Api, query, segment},
    arguments::{NodeArguments, NodeCommand},
    error::CliError,
    output::{self, text},
};

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: NodeCommand,
) -> Result<(), CliError> {
    match command {
        NodeCommand::Ls { cluster } => list(invocation, cluster.as_deref()).await,
        NodeCommand::Cordon(node) => act(invocation, &node, "cordon", &json!({})).await,
        NodeCommand::Uncordon(node) => act(invocation, &node, "uncordon", &json!({})).await,
        NodeCommand::Drain {
            node,
            force,
            delete_local_data,
            stop_at_daemon_sets,
            grace_period,
            timeout,
            yes,
        } => {
            let question = format!("Move all pods away from the node {}?", node.node);
            confirm(invocation.terminal, yes, &question)?;
            let how = json!({
                "force": force, "deleteLocalData": delete_local_data, "ignoreDaemonSets": !stop_at_daemon_sets,
                "gracePeriod": grace_period, "timeout": timeout,
            });
            act(invocation, &node, "drain", &how).await
        }
    }
}

async fn act(
    invocation: &mut Invocation<'_>,
    node: &NodeArguments,
    action: &str,
    input: &Value,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    let node = find(&api, node).await?;
    let id = id(&node)?;
    // A node that is so already is not offered the action.
    let before = node["unschedulable"] == true;
    if before == (action == "cordon") && action != "drain" {
        return invocation.say(&format!("Node {id} is {action}ed already.\n"));
    }
    api.post(&format!("/v3/nodes/{}?action={action}", segment(id)), input)
        .await?;
    invocation.say(&format!("Node {id} is {action}ed.\n"))
}

/// The node with this id, or of this name in a cluster.
async fn find(api: &Api, node: &NodeArguments) -> Result<Value, CliError> {
    let name = node.node.as_str();
    let absent = || CliError::NotFound {
        kind: "node",
        name: name.to_owned(),
    };
    let Some(place) = &node.cluster else {
        if !name.contains(':') {
            return Err(CliError::Usage(format!(
                "{name} is not an id of a node, such as c-abcde:machine-fghij; give --cluster to name it"
            )));
        }
        let found = api.find(&format!("/v3/nodes/{}", segment(name))).await?;
        return found.ok_or_else(absent);
    };
    let cluster = cluster(api, place).await?;
    let query = query(&[("clusterId", id(&cluster)?)]);
    let nodes = api.list(&format!("/v3/nodes?{query}")).await?;
    let found = nodes
        .into_iter()
        .filter(|node| node["clusterId"] == cluster["id"])
        .find(|node| node["nodeName"] == name || node["id"] == name);
    found.ok_or_else(absent)
}

async fn list(invocation: &mut Invocation<'_>, cluster: Option<&str>) -> Result<(), CliError> {
    let nodes = of_cluster(&invocation.api()?, "/v3/nodes", cluster).await?;
    output::list(
        invocation.terminal,
        invocation.global.output,
        &nodes,
        &[
            ("ID", |node| text(&node["id"])),
            ("NAME", |node| text(&node["nodeName"])),
            ("CLUSTER", |node| text(&node["clusterId"])),
            ("STATE", |node| text(&node["state"])),
            ("ROLES", roles),
            ("VERSION", |node| {
                text(&node["info"]["kubernetes"]["kubeletVersion"])
            }),
            ("ADDRESS", |node| text(&node["ipAddress"])),
            ("CPU", |node| text(&node["allocatable"]["cpu"])),
            ("MEMORY", |node| text(&node["allocatable"]["memory"])),
        ],
    )
}

fn roles(node: &Value) -> String {
    let all = [
        ("controlPlane", "control-plane"),
        ("etcd", "etcd"),
        ("worker", "worker"),
    ];
    let held: Vec<&str> = all
        .into_iter()
        .filter(|(field, _)| node[field] == true)
        .map(|(_, name)| name)
        .collect();
    if held.is_empty() {
        "-".to_owned()
    } else {
        held.join(",")
    }
}
