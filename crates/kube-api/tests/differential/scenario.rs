//! Requests as text.
//!
//! ```text
//! == name of a scenario
//! let CM = /api/v1/namespaces/$N/configmaps
//! POST $CM {metadata: {name: a}, data: {k: v}} -> rv=/metadata/resourceVersion
//! MERGE $CM/a <X-Header: value> {data: {k: w}}
//! GET $CM?resourceVersion=$rv <table>
//! ```
//!
//! A line that begins with a space continues the one before. `$N` is the scenario's namespace; `let` defines further
//! names; `->` keeps a part of an answer under a name, for each server its own. Bodies are YAML and sent as JSON, unless
//! they begin with `raw`. `MERGE`, `STRATEGIC`, `JSONPATCH` and `APPLY` are patches; `<table>`, `<meta>`, `<metalist>`
//! ask for these forms, `<at POINTER>` compares that part of the body alone, `<as NAME GROUP...>` impersonates. `UNTIL`
//! repeats a read until it succeeds (and has what `<at POINTER>` asks for), `GONE` until nothing is found, `REFUSED` a create until it is, `FORBIDDEN`
//! one until nobody may.

use http::{HeaderName, HeaderValue, Method};

/// Requests that build on each other.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) requests: Vec<Request>,
}

/// One request; texts still have their variables.
#[derive(Debug)]
pub(crate) struct Request {
    /// As it stands in the file, with `let` names replaced.
    pub(crate) line: String,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: String,
    /// Name and JSON pointer.
    pub(crate) keep: Vec<(String, String)>,
    /// Repeated until this status, and not compared.
    pub(crate) until: Option<u16>,
    /// The part of the body that is compared.
    pub(crate) at: Option<String>,
}

const PATCHES: [(&str, &str); 4] = [
    ("MERGE", "application/merge-patch+json"),
    ("STRATEGIC", "application/strategic-merge-patch+json"),
    ("JSONPATCH", "application/json-patch+json"),
    ("APPLY", "application/apply-patch+yaml"),
];

/// The scenarios of a file.
pub(crate) fn parse(text: &str) -> Vec<Scenario> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => {
                last.push('\n');
                last.push_str(line);
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let mut scenarios: Vec<Scenario> = Vec::new();
    let mut names: Vec<(String, String)> = Vec::new();
    for line in lines {
        if let Some(name) = line.strip_prefix("== ") {
            names.clear();
            scenarios.push(Scenario {
                name: name.trim().to_owned(),
                requests: Vec::new(),
            });
        } else if let Some(definition) = line.strip_prefix("let ") {
            let (name, value) = definition.split_once('=').expect("let NAME = VALUE");
            names.push((format!("${}", name.trim()), replaced(value.trim(), &names)));
        } else {
            let scenario = scenarios.last_mut().expect("a scenario begins with ==");
            scenario.requests.push(request(&replaced(&line, &names)));
        }
    }
    scenarios
}

/// `text` with names replaced by their values, the latest definition first.
pub(crate) fn replaced(text: &str, names: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in names.iter().rev() {
        text = text.replace(name, value);
    }
    text
}

fn request(line: &str) -> Request {
    let (rest, keep) = match line.rsplit_once(" -> ") {
        Some((rest, keep)) => (rest, keep.split_whitespace().map(kept).collect()),
        None => (line, Vec::new()),
    };
    let (verb, rest) = rest
        .split_once(' ')
        .unwrap_or_else(|| panic!("no path: {line}"));
    let rest = rest.trim_start();
    let (path, mut rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let mut headers = Vec::new();
    let mut at = None;
    loop {
        rest = rest.trim_start();
        let Some((header, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'))
        else {
            break;
        };
        match header.strip_prefix("at ") {
            Some(pointer) => at = Some(pointer.to_owned()),
            None => headers.extend(header_of(header)),
        }
        rest = after;
    }
    let (method, media) = method_of(verb);
    let body = match rest.trim() {
        "" => String::new(),
        raw if raw.starts_with("raw") => raw.trim_start_matches("raw").trim_start().to_owned(),
        yaml => yaml.to_owned(),
    };
    let named = headers
        .iter()
        .any(|(name, _)| name == http::header::CONTENT_TYPE);
    if !named && !body.is_empty() {
        headers.push((http::header::CONTENT_TYPE, media.to_owned()));
    }
    let raw = rest.trim_start().starts_with("raw");
    Request {
        line: line.to_owned(),
        method,
        path: path.to_owned(),
        headers,
        body: if raw || body.is_empty() {
            body
        } else {
            format!("yaml {body}")
        },
        keep,
        until: match verb {
            "UNTIL" => Some(200),
            "GONE" => Some(404),
            "REFUSED" => Some(422),
            "FORBIDDEN" => Some(403),
            _ => None,
        },
        at,
    }
}

/// The method that a verb of a scenario stands for, and the media type of its body.
fn method_of(verb: &str) -> (Method, &'static str) {
    let patch = PATCHES.iter().find(|(name, _)| *name == verb);
    match patch {
        Some((_, media)) => (Method::PATCH, media),
        None if matches!(verb, "UNTIL" | "GONE") => (Method::GET, "application/json"),
        None if matches!(verb, "REFUSED" | "FORBIDDEN") => (Method::POST, "application/json"),
        None => (verb.parse().unwrap(), "application/json"),
    }
}

fn kept(text: &str) -> (String, String) {
    let (name, pointer) = text.split_once('=').expect("-> NAME=POINTER");
    (format!("${name}"), pointer.to_owned())
}

fn header_of(text: &str) -> Vec<(HeaderName, String)> {
    let accept = |form: &str| {
        vec![(
            http::header::ACCEPT,
            format!("application/json;as={form};v=v1;g=meta.k8s.io,application/json"),
        )]
    };
    let mut words = text.split_whitespace();
    match words.next() {
        Some("table") => accept("Table"),
        Some("meta") => accept("PartialObjectMetadata"),
        Some("metalist") => accept("PartialObjectMetadataList"),
        Some("as") => {
            let user = (
                HeaderName::from_static("impersonate-user"),
                words.next().unwrap_or_default().to_owned(),
            );
            let group = HeaderName::from_static("impersonate-group");
            std::iter::once(user)
                .chain(words.map(|word| (group.clone(), word.to_owned())))
                .collect()
        }
        _ => {
            let (name, value) = text.split_once(':').expect("<Name: value>");
            vec![(name.trim().parse().unwrap(), value.trim().to_owned())]
        }
    }
}

impl Request {
    /// A request outside scenarios: `verb` as in a scenario, `body` as it is sent.
    pub(crate) fn of(verb: &str, path: &str, body: String) -> Self {
        let (method, media) = method_of(verb);
        let media = (!body.is_empty()).then(|| (http::header::CONTENT_TYPE, media.to_owned()));
        Self {
            line: format!("{verb} {path}"),
            method,
            path: path.to_owned(),
            headers: media.into_iter().collect(),
            body,
            keep: Vec::new(),
            until: None,
            at: None,
        }
    }

    /// The request for one server, whose names have these values.
    pub(crate) fn made(&self, names: &[(String, String)]) -> http::Request<Vec<u8>> {
        let body = replaced(&self.body, names);
        let body = match body.strip_prefix("yaml ") {
            Some(yaml) => {
                let value: serde_json::Value = serde_saphyr::from_str(yaml)
                    .unwrap_or_else(|error| panic!("{}: {error}", self.line));
                value.to_string()
            }
            None => body,
        };
        let mut request = http::Request::builder()
            .method(self.method.clone())
            .uri(replaced(&self.path, names));
        request = request.header(http::header::USER_AGENT, "differential/1");
        for (name, value) in &self.headers {
            request = request.header(
                name,
                HeaderValue::from_str(&replaced(value, names)).unwrap(),
            );
        }
        request.body(body.into_bytes()).unwrap()
    }
}
