//! `drover projects|nodes|users`: lists.

use serde_json::Value;

use super::{Invocation, cluster, id};
use crate::{
    api::Api,
    arguments::{NodeCommand, ProjectCommand, UserCommand},
    error::CliError,
    output::{self, text},
};

/// A collection, narrowed to one cluster if asked for.
async fn of_cluster(
    api: &Api,
    collection: &str,
    name: Option<&str>,
) -> Result<Vec<Value>, CliError> {
    let Some(name) = name else {
        return api.list(collection).await;
    };
    let cluster = cluster(api, name).await?;
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("clusterId", id(&cluster)?)
        .finish();
    api.list(&format!("{collection}?{query}")).await
}

pub(super) async fn projects(
    invocation: &mut Invocation<'_>,
    command: ProjectCommand,
) -> Result<(), CliError> {
    let ProjectCommand::Ls { cluster } = command;
    let projects = of_cluster(&invocation.api()?, "/v3/projects", cluster.as_deref()).await?;
    output::list(
        invocation.terminal,
        invocation.global.output,
        &projects,
        &[
            ("ID", |project| text(&project["id"])),
            ("NAME", |project| text(&project["name"])),
            ("CLUSTER", |project| text(&project["clusterId"])),
            ("STATE", |project| text(&project["state"])),
            ("DESCRIPTION", |project| text(&project["description"])),
        ],
    )
}

pub(super) async fn nodes(
    invocation: &mut Invocation<'_>,
    command: NodeCommand,
) -> Result<(), CliError> {
    let NodeCommand::Ls { cluster } = command;
    let nodes = of_cluster(&invocation.api()?, "/v3/nodes", cluster.as_deref()).await?;
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

pub(super) async fn users(
    invocation: &mut Invocation<'_>,
    command: UserCommand,
) -> Result<(), CliError> {
    let UserCommand::Ls = command;
    let users = invocation.api()?.list("/v3/users").await?;
    output::list(
        invocation.terminal,
        invocation.global.output,
        &users,
        &[
            ("ID", |user| text(&user["id"])),
            ("USERNAME", |user| text(&user["username"])),
            ("NAME", |user| text(&user["name"])),
            ("ENABLED", |user| text(&user["enabled"])),
            ("ME", |user| {
                if user["me"] == true {
                    "*".to_owned()
                } else {
                    String::new()
                }
            }),
        ],
    )
}
