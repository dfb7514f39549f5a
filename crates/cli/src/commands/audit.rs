//! `drover audit`: what was done through the server. Checking its files is the server's own command.

use serde_json::Value;

use super::Invocation;
use crate::{
    api::{Api, query},
    arguments::{AuditCommand, AuditFilter},
    error::CliError,
    output::{self, text},
};

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: AuditCommand,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    match command {
        AuditCommand::Ls(filter) => {
            let entries = entries(&api, &filter).await?;
            list(invocation, &entries)
        }
        AuditCommand::Show { number } => {
            let found = api.find(&format!("/v1/audit/{number}")).await?;
            let entry = found.ok_or_else(|| CliError::NotFound {
                kind: "entry",
                name: number.to_string(),
            })?;
            output::object(invocation.terminal, invocation.global.output, &entry)
        }
    }
}

/// The entries that fit, from as many pages as it takes: the server looks through so much for one page and no more.
async fn entries(api: &Api, filter: &AuditFilter) -> Result<Vec<Value>, CliError> {
    let mut found = Vec::new();
    let mut before: Option<String> = None;
    while found.len() < filter.limit {
        let left = (filter.limit - found.len()).to_string();
        let asked: Vec<(&str, &str)> = [
            ("user", filter.user.as_deref()),
            ("cluster", filter.cluster.as_deref()),
            ("verb", filter.verb.as_deref()),
            ("kind", filter.kind.as_deref()),
            ("namespace", filter.namespace.as_deref()),
            ("name", filter.name.as_deref()),
            ("outcome", filter.outcome.as_deref()),
            ("since", filter.since.as_deref()),
            ("until", filter.until.as_deref()),
            ("before", before.as_deref()),
            ("limit", Some(&left)),
        ]
        .into_iter()
        .filter_map(|(field, value)| Some((field, value?)))
        .collect();
        let mut page = api.get(&format!("/v1/audit?{}", query(&asked))).await?;
        let Value::Array(data) = page["data"].take() else {
            return Err(CliError::Answer {
                what: "GET /v1/audit".to_owned(),
                problem: "it is not a collection".to_owned(),
            });
        };
        found.extend(data);
        let next = page["continue"].as_str().map(str::to_owned);
        // One that does not go on would be asked for ever.
        if next.is_none() || next == before {
            break;
        }
        before = next;
    }
    found.truncate(filter.limit);
    Ok(found)
}

fn list(invocation: &mut Invocation<'_>, entries: &[Value]) -> Result<(), CliError> {
    output::list(
        invocation.terminal,
        invocation.global.output,
        entries,
        &[
            ("NUMBER", |entry| text(&entry["sequence"])),
            ("TIME", |entry| text(&entry["requestTimestamp"])),
            ("USER", |entry| {
                match text(&entry["user"]["name"]) {
                    // Who logs in is not known before.
                    unknown if unknown == "-" => text(&entry["userLoginName"]),
                    name => name,
                }
            }),
            ("VERB", |entry| text(&entry["verb"])),
            ("KIND", |entry| text(&entry["object"]["resource"])),
            ("OBJECT", |entry| {
                let object = &entry["object"];
                match text(&object["namespace"]) {
                    none if none == "-" => text(&object["name"]),
                    namespace => format!("{namespace}/{}", text(&object["name"])),
                }
            }),
            ("CLUSTER", |entry| text(&entry["object"]["cluster"])),
            ("STATUS", |entry| text(&entry["responseCode"])),
            ("FROM", |entry| text(&entry["remoteAddr"])),
        ],
    )
}
