//! `drover namespaces`: the namespaces of a cluster and their projects.

use serde_json::json;

use super::{Invocation, cluster, confirm, id, project};
use crate::{
    api::{Api, segment},
    arguments::NamespaceCommand,
    error::CliError,
    output::{self, text},
};

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: NamespaceCommand,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    match command {
        NamespaceCommand::Ls {
            cluster: name,
            project: only,
        } => {
            let cluster = chosen(invocation, &api, name.as_deref()).await?;
            let mut location = collection(&cluster);
            if let Some(only) = only {
                let project = project(&api, &cluster, &only).await?;
                location.push_str(&format!("?projectId={}", segment(&project)));
            }
            let namespaces = api.list(&location).await?;
            output::list(
                invocation.terminal,
                invocation.global.output,
                &namespaces,
                &[
                    ("NAME", |namespace| text(&namespace["name"])),
                    ("PROJECT", |namespace| text(&namespace["projectId"])),
                    ("STATE", |namespace| text(&namespace["state"])),
                    ("CREATED", |namespace| text(&namespace["created"])),
                    ("DESCRIPTION", |namespace| text(&namespace["description"])),
                ],
            )
        }
        NamespaceCommand::Create {
            name,
            cluster: place,
            project: into,
            description,
        } => {
            let cluster = chosen(invocation, &api, place.as_deref()).await?;
            let mut body = json!({"type": "namespace", "name": name});
            if let Some(into) = into {
                body["projectId"] = project(&api, &cluster, &into).await?.into();
            }
            if let Some(description) = description {
                body["description"] = description.into();
            }
            let made = api.post(&collection(&cluster), &body).await?;
            invocation.made(&made, &format!("Namespace {name} is made in {cluster}.\n"))
        }
        NamespaceCommand::Move {
            name,
            cluster: place,
            project: into,
        } => {
            let cluster = chosen(invocation, &api, place.as_deref()).await?;
            let target = match &into {
                Some(into) => project(&api, &cluster, into).await?,
                None => String::new(),
            };
            let location = format!("{}/{}?action=move", collection(&cluster), segment(&name));
            let body = json!({"projectId": target});
            api.post(&location, &body)
                .await
                .map_err(|error| missing(error, &name))?;
            let place = into.map_or("out of its project".to_owned(), |into| format!("to {into}"));
            invocation.say(&format!("Namespace {name} is moved {place}.\n"))
        }
        NamespaceCommand::Delete {
            name,
            cluster: place,
            yes,
        } => {
            let cluster = chosen(invocation, &api, place.as_deref()).await?;
            let question =
                format!("Delete the namespace {name} of {cluster} and all that is in it?");
            confirm(invocation.terminal, yes, &question)?;
            api.delete(&format!("{}/{}", collection(&cluster), segment(&name)))
                .await
                .map_err(|error| missing(error, &name))?;
            invocation.say(&format!("Namespace {name} is being deleted.\n"))
        }
    }
}

fn collection(cluster: &str) -> String {
    format!("/v3/cluster/{}/namespaces", segment(cluster))
}

/// The id of the named cluster, or of the one chosen with `drover clusters use`.
async fn chosen(
    invocation: &Invocation<'_>,
    api: &Api,
    name: Option<&str>,
) -> Result<String, CliError> {
    match (name, &invocation.context()?.1.cluster) {
        (Some(name), _) => Ok(id(&cluster(api, name).await?)?.to_owned()),
        (None, Some(id)) => Ok(id.clone()),
        (None, None) => Err(CliError::Usage(
            "which cluster? name it with --cluster, or choose one with: drover clusters use NAME"
                .to_owned(),
        )),
    }
}

fn missing(error: CliError, name: &str) -> CliError {
    match error {
        CliError::Refused { status: 404, .. } => CliError::NotFound {
            kind: "namespace",
            name: name.to_owned(),
        },
        other => other,
    }
}
