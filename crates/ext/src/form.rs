//! Answers in YAML, for those who ask an API server for it.

use drover_auth::web::{self, Response};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

const YAML: &str = "application/yaml";
/// Largest answer that is written anew: lists of one's own things are smaller.
const MOST: usize = 16 << 20;

/// Whether YAML is the first form that a client names and that there is.
pub(crate) fn is_asked_for(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok());
    let first = accepted
        .flat_map(|value| value.split(','))
        .filter_map(|form| form.split(';').next())
        .map(str::trim)
        .find(|form| matches!(*form, YAML | "application/json" | "*/*" | "application/*"));
    first == Some(YAML)
}

/// The same answer in YAML, if it is a whole document.
pub(crate) async fn as_yaml(answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    let is_document = parts
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    // The events of a watch are lines of JSON, chunk by chunk.
    if !is_document || http_body::Body::size_hint(&body).exact().is_none() {
        return Response::from_parts(parts, body);
    }
    let written = match web::read(&parts.headers, body, MOST).await {
        Ok(bytes) => serde_json::from_slice::<Value>(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|value| serde_saphyr::to_string(&value).map_err(|error| error.to_string())),
        Err(error) => Err(error.message),
    };
    match written {
        Ok(text) => {
            parts.headers.remove(CONTENT_LENGTH);
            let kind = HeaderValue::from_static(YAML);
            parts.headers.insert(CONTENT_TYPE, kind);
            Response::from_parts(parts, web::full(text))
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as YAML");
            web::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "no YAML could be written",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_known_form_counts() {
        for (accept, expected) in [
            ("application/yaml", true),
            ("text/html, application/yaml;q=0.9, application/json", true),
            ("application/json, application/yaml", false),
            ("*/*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(is_asked_for(&headers), expected, "{accept}");
        }
    }
}
