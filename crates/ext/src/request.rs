//! What a request asks for, and its body.

use drover_auth::web::{self, ApiError, Body, Request};
use drover_structural::json_patch::{self, JsonPatchError};
use drover_structural::{managed_fields, merge_patch};
use drover_types::names::is_object_name;
use drover_types::query::flag as flag_of;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::bad_request;
use crate::status::no_method;

/// How much of an object a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

/// Where a watch begins, and how long it lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Since {
    /// Empty and `0`: with what is there.
    pub(crate) version: String,
    /// Whether versions are told while nothing changes.
    pub(crate) bookmarks: bool,
    /// Seconds.
    pub(crate) timeout: Option<u32>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) verb: &'static str,
    pub(crate) name: Option<String>,
    /// Lists and collections to delete are those with these labels.
    pub(crate) labels: Option<String>,
    /// Of a watch.
    pub(crate) since: Option<Since>,
    /// Nothing is to be changed.
    pub(crate) dry: bool,
    pub(crate) wants_table: bool,
    pub(crate) include: Include,
    /// Who owns what is written.
    pub(crate) manager: String,
    /// What is applied may change fields of others.
    pub(crate) force: bool,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// An object.
    Object(Value),
    /// What is merged into an object (RFC 7386).
    Merged(Value),
    /// A list of changes of an object (RFC 6902).
    Changes(Value),
    /// What its manager wants of an object: server-side apply.
    Applied(Value),
}

impl Sent {
    /// What was sent, whatever is to become of it.
    pub(crate) fn into_inner(self) -> Value {
        match self {
            Self::Object(value)
            | Self::Merged(value)
            | Self::Changes(value)
            | Self::Applied(value) => value,
        }
    }
}

impl Asked {
    pub(crate) fn of(request: &Request, name: Option<String>) -> Result<Self, ApiError> {
        let query = request.uri().query().unwrap_or_default();
        let get = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(key, _)| key == wanted)
                .map(|(_, value)| value.into_owned())
                .filter(|value| !value.is_empty())
        };
        let is_set = |wanted: &str| flag_of(request.uri().query(), wanted);
        let watches = is_set("watch");
        let verb = match (request.method(), &name) {
            (&Method::GET, None) if watches => "watch",
            (&Method::GET, Some(_)) if watches => return Err(no_method()),
            (&Method::GET, Some(_)) => "get",
            (&Method::GET, None) => "list",
            (&Method::POST, None) => "create",
            (&Method::PUT, Some(_)) => "update",
            (&Method::PATCH, Some(_)) => "patch",
            (&Method::DELETE, Some(_)) => "delete",
            (&Method::DELETE, None) => "deletecollection",
            _ => return Err(no_method()),
        };
        if is_set("sendInitialEvents") {
            // Clients list first then.
            return Err(ApiError::invalid(
                "Invalid",
                "sendInitialEvents: Forbidden: watches begin where lists end",
            ));
        }
        let since = watches.then(|| Since {
            version: get("resourceVersion").unwrap_or_default(),
            bookmarks: is_set("allowWatchBookmarks"),
            timeout: get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()),
        });
        if name.as_ref().is_some_and(|name| !is_object_name(name)) {
            return Err(bad_request("it is no name of an object"));
        }
        let mut name = name;
        if matches!(verb, "list" | "watch")
            && let Some(selector) = get("fieldSelector")
        {
            match selector.strip_prefix("metadata.name=") {
                Some(only) => name = Some(only.trim_start_matches('=').to_owned()),
                None => return Err(bad_request("only metadata.name can be selected by")),
            }
        }
        let dry = match get("dryRun").as_deref() {
            None => false,
            Some("All") => true,
            Some(other) => return Err(bad_request(format!("{other} is no dry run"))),
        };
        let header = |name| {
            let value = request.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let named = get("fieldManager");
        check_manager(request, named.as_deref(), get("force").is_some())?;
        Ok(Self {
            verb,
            name,
            labels: get("labelSelector"),
            since,
            dry,
            wants_table: header(ACCEPT).contains("as=Table"),
            include: match get("includeObject").as_deref() {
                Some("None") => Include::None,
                Some("Object") => Include::Object,
                _ => Include::Metadata,
            },
            manager: named.unwrap_or_else(|| managed_fields::manager_of(header(USER_AGENT)).into()),
            force: is_set("force"),
        })
    }
}

/// What a patch in JSON's own form of patches comes as.
const JSON_PATCH: &str = "application/json-patch+json";
/// What server-side apply comes as.
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// What a body is, in lower case and without parameters.
fn content_type(headers: &HeaderMap) -> String {
    let kind = headers.get(CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .unwrap_or("application/json")
        .trim()
        .to_ascii_lowercase()
}

/// Whether an owner is named, and force asked for, where they belong.
fn check_manager(request: &Request, named: Option<&str>, forced: bool) -> Result<(), ApiError> {
    let applies = content_type(request.headers()) == APPLY_PATCH;
    let problem = match named {
        None if applies => Some("fieldManager: Required value: is required for apply patch".into()),
        Some(named) => managed_fields::manager_problem(named)
            .map(|problem| format!("fieldManager: Invalid value: {problem}")),
        None => None,
    };
    let problem = problem.or_else(|| {
        (forced && !applies)
            .then(|| "force: Forbidden: may not be specified for non-apply patch".to_owned())
    });
    match problem {
        Some(problem) => Err(ApiError::invalid(
            "Invalid",
            format!("PatchOptions.meta.k8s.io \"\" is invalid: {problem}"),
        )),
        None => Ok(()),
    }
}

/// Reads the body: an object, a patch that is merged into one, a list of changes, or what is applied.
pub(crate) async fn read(parts: &Parts, body: Body) -> Result<Sent, ApiError> {
    let kind = content_type(&parts.headers);
    let known: &[&str] = if parts.method == Method::PATCH {
        // What nobody has declared otherwise is merged by the strategic form as by the other.
        &[
            JSON_PATCH,
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            APPLY_PATCH,
        ]
    } else {
        &["application/json", "application/yaml"]
    };
    if !known.contains(&kind.as_str()) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            format!("the body must be {}", known.join(" or ")),
        ));
    }
    let bytes = web::read(&parts.headers, body, web::MAX_BODY).await?;
    let is_yaml = matches!(kind.as_str(), "application/yaml" | APPLY_PATCH);
    let read: Result<Value, String> = if is_yaml {
        std::str::from_utf8(&bytes)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_saphyr::from_str(text).map_err(|error| error.to_string()))
    } else if bytes.is_empty() {
        Ok(json!({}))
    } else {
        serde_json::from_slice(&bytes).map_err(|error| {
            // Never what it holds: it may be a password.
            format!("line {} column {}", error.line(), error.column())
        })
    };
    match read {
        Ok(changes @ Value::Array(_)) if kind == JSON_PATCH => Ok(Sent::Changes(changes)),
        Ok(_) if kind == JSON_PATCH => Err(bad_request("the patch is no list of changes")),
        Ok(object @ Value::Object(_)) => Ok(match kind.as_str() {
            APPLY_PATCH => Sent::Applied(object),
            _ if parts.method == Method::PATCH => Sent::Merged(object),
            _ => Sent::Object(object),
        }),
        Ok(_) => Err(bad_request("the body is no object")),
        Err(_) if is_yaml => Err(bad_request("the body is no YAML")),
        Err(place) => Err(bad_request(format!("the body is no JSON: {place}"))),
    }
}

/// A text of the object, empty if absent.
///
/// # Errors
/// 400 naming the field for what is no text.
pub(crate) fn text(object: &Value, pointer: &'static str) -> Result<String, ApiError> {
    match object.pointer(pointer) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(wrong(pointer, "a text")),
    }
}

/// A whole number of the object, zero if absent.
///
/// # Errors
/// 400 naming the field for what is no whole number.
pub(crate) fn number(object: &Value, pointer: &'static str) -> Result<i64, ApiError> {
    match object.pointer(pointer) {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value
            .as_i64()
            .ok_or_else(|| wrong(pointer, "a whole number")),
    }
}

/// True or false of the object, if it is there.
///
/// # Errors
/// 400 naming the field for what is neither.
pub(crate) fn flag(object: &Value, pointer: &'static str) -> Result<Option<bool>, ApiError> {
    match object.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(wrong(pointer, "true or false")),
    }
}

/// Texts by names, as labels and annotations are.
///
/// # Errors
/// 400 naming the field for what is none.
pub(crate) fn texts(
    object: &Value,
    pointer: &'static str,
) -> Result<std::collections::BTreeMap<String, String>, ApiError> {
    match object.pointer(pointer) {
        None | Some(Value::Null) => Ok(Default::default()),
        Some(value) => {
            serde_json::from_value(value.clone()).map_err(|_| wrong(pointer, "texts by names"))
        }
    }
}

fn wrong(pointer: &str, expected: &str) -> ApiError {
    let field = pointer.trim_start_matches('/').replace('/', ".");
    bad_request(format!("{field} must be {expected}"))
}

/// What was sent, or `before` changed as that says. What is applied is merged where no owners are kept.
///
/// # Errors
/// 400, 413 and 422 for changes that are none or do not fit.
pub(crate) fn changed(before: &Value, sent: Sent) -> Result<Value, ApiError> {
    let mut changed = before.clone();
    match sent {
        Sent::Object(object) => return Ok(object),
        Sent::Merged(patch) | Sent::Applied(patch) => merge_patch::apply(&mut changed, &patch),
        Sent::Changes(changes) => {
            json_patch::apply(&mut changed, &changes).map_err(refused)?;
            if !changed.is_object() {
                return Err(bad_request("the patch leaves no object"));
            }
        }
    }
    Ok(changed)
}

fn refused(error: JsonPatchError) -> ApiError {
    match error {
        JsonPatchError::Malformed(_) => bad_request(error.to_string()),
        JsonPatchError::TooLarge(_) => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            error.to_string(),
        ),
        JsonPatchError::Refused(text) | JsonPatchError::TestFailed(text) => {
            ApiError::invalid("Invalid", text)
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(method: &str, uri: &str, name: Option<&str>) -> Result<Asked, u16> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(web::empty())
            .unwrap();
        Asked::of(&request, name.map(str::to_owned)).map_err(|error| error.status.as_u16())
    }

    #[test]
    fn methods_and_queries_say_what_is_asked() {
        let list = asked("GET", "/x?labelSelector=a%3Db&includeObject=Object", None).unwrap();
        assert_eq!((list.verb, list.labels.as_deref()), ("list", Some("a=b")));
        assert!(list.wants_table && list.include == Include::Object && !list.dry);
        let one = asked("GET", "/x?fieldSelector=metadata.name%3Dy", None).unwrap();
        assert_eq!((one.verb, one.name.as_deref()), ("list", Some("y")));
        assert!(asked("DELETE", "/x?dryRun=All", Some("y")).unwrap().dry);
        let watch = "/x?watch=1&resourceVersion=7&timeoutSeconds=3&fieldSelector=metadata.name%3Dy";
        let watch = asked("GET", watch, None).unwrap();
        assert_eq!((watch.verb, watch.name.as_deref()), ("watch", Some("y")));
        let since = Since {
            version: "7".to_owned(),
            bookmarks: false,
            timeout: Some(3),
        };
        assert_eq!((watch.since, list.since), (Some(since), None));
        for (method, uri, name, status) in [
            ("GET", "/x?watch=true", Some("y"), 405),
            ("GET", "/x?watch=true&sendInitialEvents=true", None, 422),
            ("POST", "/x", Some("y"), 405),
            ("PUT", "/x", None, 405),
            ("GET", "/x?fieldSelector=spec.a%3Db", None, 400),
            ("GET", "/x", Some("A/b"), 400),
            ("GET", "/x", Some(".."), 400),
            ("GET", "/x?watch", Some("y"), 405),
            ("POST", "/x?dryRun=some", None, 400),
        ] {
            assert_eq!(
                asked(method, uri, name).err(),
                Some(status),
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn patches_are_merged() {
        let before = json!({"spec": {"a": 1, "b": 2}, "c": [1]});
        let sent = json!({"spec": {"a": null, "d": {"e": 1}}, "c": [2]});
        let wanted = |sent| changed(&before, sent).map_err(|error| error.status.as_u16());
        assert_eq!(wanted(Sent::Object(sent.clone())), Ok(sent.clone()));
        let merged = json!({"spec": {"b": 2, "d": {"e": 1}}, "c": [2]});
        assert_eq!(wanted(Sent::Merged(sent)), Ok(merged));
        let changes = json!([
            {"op": "test", "path": "/spec/a", "value": 1},
            {"op": "replace", "path": "/spec/a", "value": 3},
            {"op": "remove", "path": "/c"},
        ]);
        let changed = json!({"spec": {"a": 3, "b": 2}});
        assert_eq!(wanted(Sent::Changes(changes)), Ok(changed));
        for (changes, status) in [
            (json!([{"op": "test", "path": "/spec/a", "value": 2}]), 422),
            (json!([{"op": "remove", "path": "/none"}]), 422),
            (json!([{"op": "replace", "path": "", "value": 1}]), 400),
        ] {
            assert_eq!(
                wanted(Sent::Changes(changes.clone())),
                Err(status),
                "{changes}"
            );
        }
    }

    #[test]
    fn what_is_applied_names_its_manager_and_nothing_else_is_forced() {
        let asked = |kind: &str, query: &str| {
            let request = Request::builder()
                .method("PATCH")
                .uri(format!("/x?{query}"))
                .header("content-type", kind)
                .header("user-agent", "kubectl/v1.36 (linux)")
                .body(web::empty())
                .unwrap();
            let asked = Asked::of(&request, Some("y".to_owned()));
            asked
                .map(|asked| (asked.manager, asked.force))
                .map_err(|error| error.status.as_u16())
        };
        let merge = "application/merge-patch+json";
        let long = format!("fieldManager={}", "m".repeat(129));
        for (kind, query, expected) in [
            (APPLY_PATCH, "fieldManager=me&force=true", Ok(("me", true))),
            (APPLY_PATCH, "fieldManager=me", Ok(("me", false))),
            (APPLY_PATCH, "force=true", Err(422)),
            (APPLY_PATCH, &long, Err(422)),
            (merge, "", Ok(("kubectl", false))),
            (merge, "force=false", Err(422)),
        ] {
            let expected = expected.map(|(manager, force)| (manager.to_owned(), force));
            assert_eq!(asked(kind, query), expected, "{kind} {query}");
        }
    }
}
