//! Media types: what a body is, and what the client wants to read.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};

use crate::rest::render::Form;
use crate::status::StatusError;
use crate::table::IncludeObject;

/// The types of bodies and answers, as errors list them.
pub(super) const TYPES: &[&str] = &["application/json", "application/yaml"];

/// The types of bodies, as errors list them.
pub(super) const BODY_TYPES: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// The text form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
}

/// What the client wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accept {
    pub(super) format: Format,
    pub(super) form: Form,
    pub(super) pretty: bool,
}

impl Accept {
    /// Whether the answer is JSON as it comes.
    pub(super) fn is_plain(self) -> bool {
        self.format == Format::Json && !self.pretty
    }

    /// Plain JSON.
    pub(super) fn json() -> Self {
        Self {
            format: Format::Json,
            form: Form::Object,
            pretty: false,
        }
    }
}

/// One media type of a header.
struct MediaType<'a> {
    name: String,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaType<'a> {
    fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_owned();
        let parameters = parts
            .filter_map(|part| part.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim().trim_matches('"')))
            .collect();
        Self { name, parameters }
    }

    fn get(&self, name: &str) -> &'a str {
        self.parameters
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| *value)
    }

    /// Quality in thousandths.
    fn quality(&self) -> u32 {
        match self.get("q") {
            "" => 1000,
            // A quality outside 0..=1 counts as its nearest bound.
            text => text
                .parse::<f32>()
                .map_or(1000, |q| (q.clamp(0.0, 1.0) * 1000.0) as u32),
        }
    }
}

/// Chooses the form of the answer. `tables` says whether the request may be answered in another shape than the object.
pub(super) fn accept(
    headers: &HeaderMap,
    query: Option<&str>,
    include: &str,
    tables: bool,
) -> Result<Accept, StatusError> {
    let pretty = query.is_some_and(|query| {
        form_urlencoded::parse(query.as_bytes())
            .any(|(key, value)| key == "pretty" && !matches!(&*value, "" | "0" | "false"))
    });
    let whole = Accept {
        format: Format::Json,
        form: Form::Object,
        pretty,
    };
    let values: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .collect();
    if values.is_empty() {
        return Ok(whole);
    }
    let mut types: Vec<MediaType<'_>> = values.into_iter().map(MediaType::parse).collect();
    // Stable: of equal quality, the first named wins.
    types.sort_by_key(|media| std::cmp::Reverse(media.quality()));
    for media in &types {
        if media.quality() == 0 {
            continue;
        }
        let format = match media.name.as_str() {
            "application/json" | "application/*" | "*/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => continue,
        };
        if !matches!(media.get("stream"), "" | "watch") {
            continue;
        }
        let form = match (media.get("as"), media.get("g"), media.get("v")) {
            ("", "", "") => Form::Object,
            ("Table", "meta.k8s.io", "v1" | "v1beta1") if tables => {
                let include = IncludeObject::parse(include).ok_or_else(|| {
                    StatusError::bad_request(format!(
                        "Unable to convert to Table as requested: includeObject: Invalid value: {include:?}: must be 'Metadata', 'Object', 'None', or empty"
                    ))
                })?;
                Form::Table(include)
            }
            (
                "PartialObjectMetadata" | "PartialObjectMetadataList",
                "meta.k8s.io",
                "v1" | "v1beta1",
            ) if tables => Form::Metadata,
            _ => continue,
        };
        return Ok(Accept {
            format,
            form,
            pretty,
        });
    }
    Err(StatusError::not_acceptable(TYPES))
}

/// Whether a router that knows these types lets a request through (go-restful `route.go`, `matchesAccept`).
pub(super) fn is_routed(headers: &HeaderMap, types: &[&str]) -> bool {
    let first = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    first.is_none_or(|accepted| {
        accepted.is_empty()
            || accepted.split(',').any(|range| {
                let name = range.split(';').next().unwrap_or_default().trim();
                name == "*/*" || types.contains(&name)
            })
    })
}

/// Chooses the form of a document that is no object. `routed` are the types that a router lets through before any are
/// negotiated, where there is one.
pub(super) fn document(headers: &HeaderMap, routed: &[&str]) -> Result<Accept, StatusError> {
    if !routed.is_empty() && !is_routed(headers, routed) {
        return Err(StatusError::no_representation(routed));
    }
    accept(headers, None, "", false)
}

/// The media type of a body as it is written, without parameters; `None` if the header is missing or empty.
pub(super) fn written_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(MediaType::parse(value).name).filter(|_| !value.trim().is_empty())
}

/// The same in small letters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    written_type(headers).map(|name| name.to_ascii_lowercase())
}

/// Whether the client reads gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|value| MediaType::parse(value.trim()))
        .any(|coding| coding.name.eq_ignore_ascii_case("gzip") && coding.quality() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        headers
    }

    #[test]
    fn the_form_follows_the_accept_header() {
        let check = |text: &str, expected: Option<(Format, Form)>| {
            let found = accept(&headers(text), None, "", true)
                .ok()
                .map(|accept| (accept.format, accept.form));
            assert_eq!(found, expected, "{text}");
        };
        let table = Form::Table(IncludeObject::Metadata);
        check("application/json", Some((Format::Json, Form::Object)));
        check("*/*", Some((Format::Json, Form::Object)));
        check("application/yaml", Some((Format::Yaml, Form::Object)));
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Some((Format::Json, table)),
        );
        check(
            "application/json;as=Other;v=v1;g=meta.k8s.io,application/json",
            Some((Format::Json, Form::Object)),
        );
        check(
            "application/vnd.kubernetes.protobuf, application/json",
            Some((Format::Json, Form::Object)),
        );
        check("application/vnd.kubernetes.protobuf", None);
        check(
            "application/json;q=0.1, application/yaml",
            Some((Format::Yaml, Form::Object)),
        );
        check("application/json;q=0", None);
    }
}
