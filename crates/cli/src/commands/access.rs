//! `drover explain` and `drover who-can`: what the server's index of rights says.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{Invocation, cluster, id, users};
use crate::{
    api::Api,
    arguments::{AccessQuestion, ExplainArguments, Format},
    error::CliError,
    output::{self, text},
};

/// Tells whether somebody may do something, and by which binding; as kubectl's `auth can-i`, "no" is exit code 1.
pub(super) async fn explain(
    invocation: &mut Invocation<'_>,
    arguments: ExplainArguments,
) -> Result<ExitCode, CliError> {
    let api = invocation.api()?;
    let mut body = question(&api, &arguments.question).await?;
    if let Some(name) = &arguments.user {
        body["userId"] = id(&users::find(&api, name).await?)?.into();
    }
    let review = api.post("/v3/accessReviews", &body).await?;
    let allowed = review["allowed"] == true;
    if invocation.format() == Format::Table {
        let answer = if allowed { "yes" } else { "no" };
        let mut lines = vec![(answer, String::new())];
        let listed = |field: &str| {
            let names = review[field].as_array().into_iter().flatten();
            names.map(text).collect::<Vec<_>>().join(", ")
        };
        lines.extend([
            ("user:", text(&review["userId"])),
            ("binding:", text(&review["binding"])),
            ("roles:", listed("roles")),
            ("rule:", text(&review["rule"])),
            ("groups:", listed("groups")),
            ("missing:", listed("missing")),
        ]);
        let rows: Vec<Vec<String>> = lines
            .into_iter()
            .filter(|(title, value)| !title.ends_with(':') || !matches!(value.as_str(), "" | "-"))
            .map(|(title, value)| vec![title.to_owned(), value])
            .collect();
        invocation.say(&output::table(&rows))?;
    } else {
        output::object(invocation.terminal, invocation.global.output, &review)?;
    }
    Ok(if allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Lists who may do something.
pub(super) async fn who_can(
    invocation: &mut Invocation<'_>,
    asked: AccessQuestion,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    let body = question(&api, &asked).await?;
    let answer = api.post("/v3/accessReviews?action=whoCan", &body).await?;
    let holders = answer["data"].as_array().cloned().unwrap_or_default();
    output::list(
        invocation.terminal,
        invocation.global.output,
        &holders,
        &[
            ("KIND", |holder| text(&holder["kind"])),
            ("NAME", |holder| text(&holder["name"])),
            ("BINDING", |holder| text(&holder["binding"])),
            ("ROLES", |holder| {
                let roles = holder["roles"].as_array().into_iter().flatten();
                roles.map(text).collect::<Vec<_>>().join(",")
            }),
            ("RULE", |holder| text(&holder["rule"])),
        ],
    )
}

async fn question(api: &Api, asked: &AccessQuestion) -> Result<Value, CliError> {
    // `deployments.apps`, as kubectl writes kinds with their group.
    let (resource, group) = asked
        .resource
        .split_once('.')
        .unwrap_or((&asked.resource, ""));
    let mut body = json!({
        "type": "accessReview", "verb": asked.verb, "resource": resource, "apiGroup": group,
    });
    if let Some(name) = &asked.cluster {
        body["clusterId"] = id(&cluster(api, name).await?)?.into();
    }
    if let Some(namespace) = &asked.namespace {
        if asked.cluster.is_none() {
            return Err(CliError::Usage(
                "--namespace needs --cluster: namespaces are those of a cluster".to_owned(),
            ));
        }
        body["namespace"] = namespace.as_str().into();
    }
    if let Some(name) = &asked.name {
        body["objectName"] = name.as_str().into();
    }
    Ok(body)
}
