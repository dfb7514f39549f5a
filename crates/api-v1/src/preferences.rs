//! `userpreferences`: one item per caller, kept as `Preference` objects in a namespace named after the user.

use std::collections::BTreeMap;

use drover_auth::namespaces;
use drover_auth::web::{self, ApiError, Response};
use drover_types::management::{GROUP, VERSION};
use drover_types::names::LOCAL_CLUSTER;
use http::request::Parts;
use http::{Method, StatusCode};
use kube::Client;
use serde_json::{Map, Value, json};

use crate::call::{Answer, Call, no_method};
use crate::format::text;
use crate::kind::Kind;
use crate::kubernetes::{Ask, JSON, ask, get};

const PLURAL: &str = "userpreferences";
/// Largest number of preferences.
const MOST: usize = 256;

type Data = BTreeMap<String, String>;

fn kind() -> Kind {
    Kind {
        namespaced: true,
        ..Kind::new(GROUP, VERSION, "Preference", "preferences")
    }
}

fn item(call: &Call, data: &Data) -> Value {
    let own = call
        .urls
        .explorer(&format!("/{PLURAL}/{}", call.identity.user));
    json!({
        "id": call.identity.user.as_str(), "type": "userpreference", "data": data,
        "links": {"self": own, "update": own, "remove": own},
    })
}

/// Answers requests for the preferences; everybody has its own and no others.
pub(crate) async fn answer(
    call: &Call,
    method: &Method,
    id: Option<&str>,
    parts: &Parts,
    sent: web::Body,
) -> Answer<Response> {
    if id.is_some_and(|id| id != call.identity.user.as_str()) {
        return Err(ApiError::not_found("there are no such preferences").into());
    }
    let client = call.shared.reach.whole(LOCAL_CLUSTER).await?;
    match (method, id) {
        (&Method::GET, None) => {
            let collection = json!({
                "type": "collection", "resourceType": "userpreference", "actions": {},
                "links": {"self": call.urls.explorer(&format!("/{PLURAL}"))},
                "data": [item(call, &read(call, &client).await?)],
            });
            Ok(call.writer.answer(StatusCode::OK, &collection))
        }
        (&Method::GET, Some(_)) => {
            let data = read(call, &client).await?;
            Ok(call.writer.answer(StatusCode::OK, &item(call, &data)))
        }
        (&Method::PUT, Some(_)) => {
            let bytes = web::read(&parts.headers, sent, web::MAX_BODY).await?;
            let data = wanted(&drover_api::encode::read_fields(&parts.headers, &bytes)?)?;
            write(call, &client, &data).await?;
            Ok(call.writer.answer(StatusCode::OK, &item(call, &data)))
        }
        (&Method::DELETE, Some(_)) => {
            write(call, &client, &Data::new()).await?;
            Ok(call
                .writer
                .answer(StatusCode::OK, &item(call, &Data::new())))
        }
        _ => Err(no_method(method.as_str(), "userpreference").into()),
    }
}

/// The map of a body.
fn wanted(body: &Map<String, Value>) -> Result<Data, ApiError> {
    let wrong = |what: &str| ApiError::invalid_body(format!("data {what}")).with_field("data");
    let data = match body.get("data") {
        None | Some(Value::Null) => return Ok(Data::new()),
        Some(Value::Object(data)) => data,
        Some(_) => return Err(wrong("is not a map")),
    };
    if data.len() > MOST {
        return Err(wrong("has too many keys"));
    }
    data.iter()
        .map(|(key, value)| {
            let fits = !key.is_empty()
                && key.len() <= 253
                && key.bytes().all(|byte| {
                    byte.is_ascii_lowercase()
                        || byte.is_ascii_digit()
                        || matches!(byte, b'-' | b'.')
                })
                && key.starts_with(|letter: char| letter.is_ascii_alphanumeric())
                && key.ends_with(|letter: char| letter.is_ascii_alphanumeric());
            if !fits {
                return Err(wrong("has a key that is no name"));
            }
            let value = value
                .as_str()
                .ok_or_else(|| wrong("has a value that is no string"))?;
            Ok((key.clone(), value.to_owned()))
        })
        .collect()
}

async fn read(call: &Call, client: &Client) -> Result<Data, ApiError> {
    let path = kind().path(Some(call.identity.user.as_str()), None);
    let list = get(client, &path, JSON).await?;
    let items = list.get("items").and_then(Value::as_array);
    Ok(items
        .into_iter()
        .flatten()
        .map(|preference| {
            let name = text(preference, "/metadata/name").to_owned();
            (name, text(preference, "/value").to_owned())
        })
        .collect())
}

/// Makes the stored preferences these.
async fn write(call: &Call, client: &Client, data: &Data) -> Result<(), ApiError> {
    let (user, kind) = (call.identity.user.as_str(), kind());
    let stored = read(call, client).await?;
    for name in stored.keys().filter(|name| !data.contains_key(*name)) {
        let url = kind.path(Some(user), Some(name));
        let gone = Ask {
            method: Method::DELETE,
            ..Ask::get(&url)
        };
        match ask(client, gone).await {
            Ok(_) => {}
            Err(error) if error.status == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    let changed: Vec<(&String, &String)> = data
        .iter()
        .filter(|(name, value)| stored.get(*name) != Some(*value))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    namespaces::ensure(client, user).await?;
    for (name, value) in changed {
        let object = json!({
            "apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": {"name": name, "namespace": user}, "value": value,
        });
        let url = format!(
            "{}?fieldManager=drover&force=true",
            kind.path(Some(user), Some(name))
        );
        let apply = Ask {
            method: Method::PATCH,
            url: &url,
            accept: JSON,
            body: Some((
                "application/apply-patch+yaml",
                object.to_string().into_bytes(),
            )),
        };
        ask(client, apply).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_maps_of_names_to_strings_are_taken() {
        let of = |value: Value| {
            let Value::Object(body) = json!({"data": value}) else {
                unreachable!()
            };
            wanted(&body)
        };
        assert_eq!(of(json!({"theme": "ui-dark"})).unwrap()["theme"], "ui-dark");
        assert!(of(Value::Null).unwrap().is_empty());
        for wrong in [
            json!([]),
            json!({"a": 1}),
            json!({"A/b": "x"}),
            json!({"": "x"}),
        ] {
            let refused = of(wrong).unwrap_err();
            assert_eq!(
                (refused.status.as_u16(), refused.field_name.as_deref()),
                (422, Some("data"))
            );
        }
    }
}
