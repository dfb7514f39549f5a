//! What is asked for: options in the query (kubernetes `pkg/apis/core/v1/zz_generated.conversion.go`).

use drover_structural::Schema;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Purpose;
use crate::rest::options::Query;
use crate::status::{FieldError, StatusError};

/// The members of options.
pub(super) fn schema(purpose: Purpose) -> Schema {
    let text = json!({"type": "string"});
    let flag = json!({"type": "boolean"});
    let number = json!({"type": "integer", "format": "int64"});
    let list = |items: Value| json!({"type": "array", "items": items});
    let streams = [
        ("stdin", flag.clone()),
        ("stdout", flag.clone()),
        ("stderr", flag.clone()),
        ("tty", flag.clone()),
        ("container", text.clone()),
    ];
    let own = match purpose {
        Purpose::Exec => streams
            .into_iter()
            .chain([("command", list(text.clone()))])
            .collect(),
        Purpose::Attach => Vec::from(streams),
        Purpose::PortForward => vec![("ports", list(number))],
        Purpose::Proxy => vec![("path", text.clone())],
        // Nobody is asked about logs.
        Purpose::Log => Vec::new(),
    };
    let mut properties = json!({"apiVersion": text, "kind": text});
    for (name, member) in own {
        properties[name] = member;
    }
    Schema::from_crd(&json!({"type": "object", "properties": properties}))
        .unwrap_or_else(|_| Schema::any())
}

/// The options; `rest` is what follows the subresource in the path.
///
/// # Errors
///
/// A number or a time is none, or a dry run is asked for.
pub(super) fn read(purpose: Purpose, query: &Query, rest: &str) -> Result<Value, StatusError> {
    if purpose != Purpose::Log && query.get("dryRun").is_some() {
        return Err(StatusError::bad_request("dryRun is not supported"));
    }
    let mut asked = Map::new();
    match purpose {
        Purpose::Exec | Purpose::Attach => {
            flags(&mut asked, query, &["stdin", "stdout", "stderr", "tty"]);
            text(&mut asked, "container", query.get("container"));
            if purpose == Purpose::Exec {
                let command: Vec<&str> = query.all("command").collect();
                let command = (!command.is_empty()).then_some(command);
                asked.insert("command".to_owned(), json!(command));
            }
        }
        Purpose::PortForward => {
            let ports = ports(query)?;
            if !ports.is_empty() {
                asked.insert("ports".to_owned(), json!(ports));
            }
        }
        Purpose::Proxy => text(&mut asked, "path", Some(rest)),
        Purpose::Log => log(&mut asked, query)?,
    }
    Ok(Value::Object(asked))
}

fn text(asked: &mut Map<String, Value>, name: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        asked.insert(name.to_owned(), value.into());
    }
}

fn flags(asked: &mut Map<String, Value>, query: &Query, names: &[&str]) {
    for name in names {
        if query.flag(name) == Some(true) {
            asked.insert((*name).to_owned(), true.into());
        }
    }
}

fn ports(query: &Query) -> Result<Vec<u16>, StatusError> {
    let ports = query.all("ports").flat_map(|ports| ports.split(','));
    let port = |text: &str| {
        crate::rest::options::unsigned::<u16>(text).map_err(|problem| {
            StatusError::bad_request(format!("cannot convert to []int32: {problem}"))
        })
    };
    ports.map(port).collect()
}

fn log(asked: &mut Map<String, Value>, query: &Query) -> Result<(), StatusError> {
    text(asked, "container", query.get("container"));
    let names = [
        "follow",
        "previous",
        "timestamps",
        "insecureSkipTLSVerifyBackend",
    ];
    flags(asked, query, &names);
    for name in ["sinceSeconds", "tailLines", "limitBytes"] {
        if query.get(name).is_some() {
            asked.insert(name.to_owned(), query.whole(name)?.into());
        }
    }
    if let Some(since) = query.get("sinceTime") {
        if !since.is_empty() && since.parse::<Timestamp>().is_err() {
            return Err(StatusError::bad_request(format!(
                "parsing time {since:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {since:?} as \"2006\""
            )));
        }
        asked.insert("sinceTime".to_owned(), since.into());
    }
    // An empty one is one that is not known.
    if let Some(stream) = query.get("stream") {
        asked.insert("stream".to_owned(), stream.into());
    }
    Ok(())
}

/// Refuses options of a log that say nothing (kubernetes `ValidatePodLogOptions`).
///
/// # Errors
///
/// What is wrong with them.
pub(super) fn check_log(pod: &str, asked: &Value) -> Result<(), StatusError> {
    let mut errors = Vec::new();
    let number = |name: &str| asked[name].as_i64();
    if let Some(lines) = number("tailLines").filter(|lines| *lines < 0) {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid("tailLines", lines, why));
    }
    let positive = |name: &str| {
        let count = number(name).filter(|count| *count < 1)?;
        Some(FieldError::invalid(name, count, "must be greater than 0"))
    };
    errors.extend(positive("limitBytes"));
    if number("sinceSeconds").is_some() && asked.get("sinceTime").is_some() {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        // So the real server names the whole.
        errors.push(FieldError::forbidden("[]", why));
    } else {
        errors.extend(positive("sinceSeconds"));
    }
    // Choosing a stream is not enabled in this version.
    if asked.get("stream").is_some() {
        errors.push(FieldError::forbidden("stream", "may not be specified"));
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(StatusError::invalid("", "PodLogOptions", pod, &errors))
}
