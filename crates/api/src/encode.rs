//! Bodies in and out: JSON, YAML, lines of JSON, forms and the page for browsers; compression.
//!
//! Owns which form an answer takes. The page is plain HTML around the JSON,
//! loads nothing from anywhere, and holds only escaped text.

use std::io::Write;

use bytes::Bytes;
use drover_auth::web::{self, ApiError, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, HeaderMap, HeaderValue, VARY,
};
use http::{HeaderName, StatusCode};
use serde_json::{Map, Value};

/// The header that names the schemas of what a path answers.
const SCHEMAS: HeaderName = HeaderName::from_static("x-api-schemas");
/// Smaller bodies are not worth compressing.
const COMPRESS_FROM: usize = 1400;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// A page for browsers.
    Html,
    /// A collection as lines of JSON: itself without its items, the items, and an empty line once it is whole.
    Lines,
}

impl Form {
    /// The form a request asks for (reference section 1.6). `format` is the query's `_format`.
    #[must_use]
    pub fn asked(headers: &HeaderMap, format: Option<&str>) -> Self {
        match format.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => return Self::Json,
            Some("yaml") => return Self::Yaml,
            Some("html") => return Self::Html,
            _ => {}
        }
        let accept = headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .unwrap_or_default();
        if web::is_browser(headers) && (accept.is_empty() || accept.contains("*/*")) {
            Self::Html
        } else if accept.contains("application/yaml") {
            Self::Yaml
        } else {
            Self::Json
        }
    }

    /// The same for APIs that answer in lines too (rancher/apiserver's `pkg/parse`).
    #[must_use]
    pub fn asked_with_lines(headers: &HeaderMap, format: Option<&str>) -> Self {
        if format.is_some_and(|format| format.trim().eq_ignore_ascii_case("jsonl")) {
            return Self::Lines;
        }
        let accepts = headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("application/jsonl"));
        let is_json = format.is_some_and(|format| format.eq_ignore_ascii_case("json"));
        match Self::asked(headers, format) {
            Self::Json if accepts && !is_json => Self::Lines,
            other => other,
        }
    }
}

/// How answers of one request are written.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The form asked for.
    pub form: Form,
    /// Whether the client takes compressed answers.
    pub gzip: bool,
    /// Value of `X-Api-Schemas`.
    pub schemas: String,
}

impl Writer {
    /// The writer of one request's answers; `schemas` becomes `X-Api-Schemas`.
    #[must_use]
    pub fn new(headers: &HeaderMap, format: Option<&str>, schemas: String) -> Self {
        let gzip = headers
            .get(ACCEPT_ENCODING)
            .and_then(|accepted| accepted.to_str().ok())
            .is_some_and(|accepted| accepted.split(',').any(|one| accepts_gzip(one.trim())));
        Self {
            form: Form::asked(headers, format),
            gzip,
            schemas,
        }
    }

    /// The same, answering in another form.
    #[must_use]
    pub fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// An answer with a body.
    pub fn answer(&self, status: StatusCode, body: &impl serde::Serialize) -> Response {
        let encoded = match self.form {
            Form::Json => web::to_json(body)
                .map(|bytes| (bytes, "application/json"))
                .map_err(|error| error.to_string()),
            Form::Yaml => serde_saphyr::to_string(body)
                .map(|text| (Bytes::from(text), "application/yaml"))
                .map_err(|error| error.to_string()),
            Form::Html => serde_json::to_string_pretty(body)
                .map(|text| (Bytes::from(page(&text)), "text/html; charset=utf-8"))
                .map_err(|error| error.to_string()),
            Form::Lines => lines(body)
                .map(|text| (Bytes::from(text), "application/jsonl"))
                .map_err(|error| error.to_string()),
        };
        match encoded {
            Ok((bytes, media_type)) => self.finish(status, bytes, media_type),
            Err(error) => {
                tracing::error!(%error, "answer cannot be written");
                self.error(&ApiError::server_error("the answer could not be encoded"))
            }
        }
    }

    /// An error, always as JSON.
    pub fn error(&self, error: &ApiError) -> Response {
        let mut response = error.clone().into_response();
        self.stamp(&mut response);
        response
    }

    /// An answer without a body.
    pub fn empty(&self, status: StatusCode) -> Response {
        let mut response = Response::new(web::empty());
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.stamp(&mut response);
        response
    }

    fn finish(&self, status: StatusCode, bytes: Bytes, media_type: &'static str) -> Response {
        let (bytes, compressed) = match self.gzip && bytes.len() >= COMPRESS_FROM {
            true => gzip(&bytes).map_or((bytes, false), |smaller| (smaller, true)),
            false => (bytes, false),
        };
        let mut response = Response::new(web::full(bytes));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        if self.form == Form::Html {
            headers.insert(
                HeaderName::from_static("x-frame-options"),
                HeaderValue::from_static("SAMEORIGIN"),
            );
        }
        self.stamp(&mut response);
        response
    }

    fn stamp(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Ok(schemas) = HeaderValue::from_str(&self.schemas) {
            headers.insert(SCHEMAS, schemas);
        }
        headers.insert(
            EXPIRES,
            HeaderValue::from_static("Wed 24 Feb 1982 18:42:00 GMT"),
        );
    }
}

/// A collection line by line; anything else as one line. The empty line at the end says that nothing is missing.
fn lines(body: &impl serde::Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut whole = serde_json::to_value(body)?;
    let mut items = Vec::new();
    if let Value::Object(fields) = &mut whole
        && fields.get("type").and_then(Value::as_str) == Some("collection")
    {
        for name in ["data", "summary"] {
            if let Some(Value::Array(found)) = fields.remove(name) {
                items.extend(found);
            }
        }
    }
    let mut text = Vec::new();
    for line in std::iter::once(&whole).chain(&items) {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    text.push(b'\n');
    Ok(text)
}

fn accepts_gzip(one: &str) -> bool {
    let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
    let refused = weight
        .trim()
        .strip_prefix("q=")
        .and_then(|q| q.parse::<f32>().ok())
        .is_some_and(|q| q <= 0.0);
    coding.trim().eq_ignore_ascii_case("gzip") && !refused
}

fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn page(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + json.len() / 8);
    for letter in json.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            _ => text.push(letter),
        }
    }
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>API</title>\
         <style>body{{font-family:system-ui,sans-serif;margin:1rem}}pre{{font:13px/1.4 monospace;white-space:pre-wrap;\
         overflow-wrap:anywhere}}</style></head><body><pre>{text}</pre></body></html>\n"
    )
}

/// Reads the fields of a body: JSON, YAML or a form, by its content type.
pub fn read_fields(headers: &HeaderMap, bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let media_type = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let value = if media_type.starts_with("application/yaml") {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ApiError::invalid_body("the body is not UTF-8"))?;
        serde_saphyr::from_str::<Value>(text)
            .map_err(|_| ApiError::invalid_body("the body is not valid YAML"))?
    } else if media_type.starts_with("application/x-www-form-urlencoded") {
        Value::Object(
            form_urlencoded::parse(bytes)
                .map(|(key, value)| (key.into_owned(), value.into()))
                .collect(),
        )
    } else {
        // The decoder refuses nesting beyond 128 levels.
        serde_json::from_slice::<Value>(bytes).map_err(|error| {
            ApiError::invalid_body(format!(
                "the body is not valid JSON at line {} column {}",
                error.line(),
                error.column()
            ))
        })?
    };
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Map::new()),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ApiError::invalid_body("the body is not an object"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_form_follows_agent_and_accept() {
        let form = |pairs: &[(&'static str, &str)], format: &str| {
            Form::asked(&headers(pairs), Some(format))
        };
        assert_eq!(form(&[], ""), Form::Json);
        assert_eq!(
            form(
                &[
                    ("user-agent", "Mozilla/5.0"),
                    ("accept", "text/html,*/*;q=0.8")
                ],
                ""
            ),
            Form::Html
        );
        assert_eq!(
            form(
                &[
                    ("user-agent", "Mozilla/5.0"),
                    ("accept", "application/json")
                ],
                ""
            ),
            Form::Json
        );
        assert_eq!(form(&[("accept", "application/yaml")], ""), Form::Yaml);
        assert_eq!(form(&[("user-agent", "Mozilla/5.0")], "json"), Form::Json);
    }

    #[test]
    fn lines_are_asked_for_by_name_or_header() {
        let form = |pairs: &[(&'static str, &str)], format: Option<&str>| {
            Form::asked_with_lines(&headers(pairs), format)
        };
        let lines = ("accept", "application/jsonl");
        let browser = ("user-agent", "Mozilla/5.0");
        assert_eq!(form(&[], Some("jsonl")), Form::Lines);
        assert_eq!(form(&[browser], Some("JSONL")), Form::Lines);
        assert_eq!(form(&[lines], None), Form::Lines);
        assert_eq!(form(&[lines], Some("json")), Form::Json);
        assert_eq!(form(&[lines], Some("yaml")), Form::Yaml);
        assert_eq!(form(&[], None), Form::Json);
        assert_eq!(form(&[browser], None), Form::Html);
    }

    #[test]
    fn collections_come_line_by_line() {
        let text = |body: Value| String::from_utf8(lines(&body).unwrap()).unwrap();
        let collection = json!({
            "type": "collection", "count": 2, "data": [{"id": "a"}, {"id": "b\n"}], "summary": [{"property": "p"}],
        });
        assert_eq!(
            text(collection),
            "{\"count\":2,\"type\":\"collection\"}\n{\"id\":\"a\"}\n{\"id\":\"b\\n\"}\n{\"property\":\"p\"}\n\n"
        );
        assert_eq!(
            text(json!({"type": "pod", "data": [1]})),
            "{\"data\":[1],\"type\":\"pod\"}\n\n"
        );
    }

    #[test]
    fn bodies_are_objects() {
        let read = |kind: &str, body: &str| {
            read_fields(&headers(&[("content-type", kind)]), body.as_bytes())
        };
        assert_eq!(
            read("application/json", "{\"a\": 1}").unwrap(),
            *json!({"a": 1}).as_object().unwrap()
        );
        assert_eq!(
            read("application/yaml", "a: 1\nb: [x]\n").unwrap(),
            *json!({"a": 1, "b": ["x"]}).as_object().unwrap()
        );
        assert_eq!(
            read("application/x-www-form-urlencoded", "a=1&b=c%20d").unwrap(),
            *json!({"a": "1", "b": "c d"}).as_object().unwrap()
        );
        assert_eq!(read("application/json", "").unwrap(), Map::new());
        for bad in [
            "{bad",
            "[1]",
            "\"x\"",
            &"[".repeat(200),
            &"{\"a\":".repeat(200),
        ] {
            assert_eq!(
                read("application/json", bad).unwrap_err().code,
                "InvalidBodyContent",
                "{bad}"
            );
        }
        let bomb = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            read("application/yaml", &bomb).unwrap_err().code,
            "InvalidBodyContent"
        );
    }

    #[test]
    fn the_page_holds_escaped_text_only() {
        assert!(!page("{\"a\": \"<script>\"}").contains("<script>"));
    }

    #[test]
    fn gzip_is_taken_only_where_accepted() {
        assert!(accepts_gzip("gzip") && accepts_gzip("gzip;q=0.5"));
        assert!(!accepts_gzip("gzip;q=0") && !accepts_gzip("deflate"));
    }
}
