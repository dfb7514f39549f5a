//! `drover projects`.

use serde_json::{Value, json};

use super::{Invocation, cluster, confirm, id, project};
use crate::{
    api::{Api, query, segment},
    arguments::ProjectCommand,
    error::CliError,
    output::{self, text},
};

/// A collection, narrowed to one cluster if asked for.
pub(super) async fn of_cluster(
    api: &Api,
    collection: &str,
    name: Option<&str>,
) -> Result<Vec<Value>, CliError> {
    let Some(name) = name else {
        return api.list(collection).await;
    };
    let cluster = cluster(api, name).await?;
    let query = query(&[("clusterId", id(&cluster)?)]);
    api.list(&format!("{collection}?{query}")).await
}

pub(super) async fn projects(
    invocation: &mut Invocation<'_>,
    command: ProjectCommand,
) -> Result<(), CliError> {
    match command {
        ProjectCommand::Ls { cluster } => list_projects(invocation, cluster.as_deref()).await,
        ProjectCommand::Create {
            name,
            cluster: place,
            description,
        } => {
            let api = invocation.api()?;
            let cluster = cluster(&api, &place).await?;
            let mut body = json!({"type": "project", "name": name, "clusterId": id(&cluster)?});
            if let Some(description) = description {
                body["description"] = description.into();
            }
            let created = api.post("/v3/projects", &body).await?;
            let text = format!("Project {name} ({}) is made.\n", id(&created)?);
            invocation.made(&created, &text)
        }
        ProjectCommand::Delete {
            project: name,
            cluster: place,
            yes,
        } => {
            let api = invocation.api()?;
            let id = match &place {
                Some(place) => project(&api, id(&cluster(&api, place).await?)?, &name).await?,
                None if name.contains(':') => name.clone(),
                None => {
                    return Err(CliError::Usage(format!(
                        "{name} is not an id of a project, such as c-abcde:p-fghij; give --cluster to name it"
                    )));
                }
            };
            let question = format!("Delete the project {id} and the namespaces people made in it?");
            confirm(invocation.terminal, yes, &question)?;
            api.delete(&format!("/v3/projects/{}", segment(&id)))
                .await
                .map_err(|error| match error {
                    CliError::Refused { status: 404, .. } => CliError::NotFound {
                        kind: "project",
                        name: name.clone(),
                    },
                    other => other,
                })?;
            invocation.say(&format!("Project {id} is being deleted.\n"))
        }
    }
}

async fn list_projects(
    invocation: &mut Invocation<'_>,
    cluster: Option<&str>,
) -> Result<(), CliError> {
    let projects = of_cluster(&invocation.api()?, "/v3/projects", cluster).await?;
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
