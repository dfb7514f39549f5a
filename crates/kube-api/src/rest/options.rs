//! Query parameters and option bodies, as typed options.

use std::num::{IntErrorKind, ParseIntError};

use serde_json::Value;

use http::StatusCode;

use super::selector::{FieldSelector, LabelSelector};
use crate::status::{FieldError, StatusError};

/// The raw query, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// As Go's conversion of query parameters reads booleans: `false` and `0` are false, anything else true, nothing
    /// too (apimachinery `pkg/runtime/conversion.go`).
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)
            .map(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }

    fn number(&self, name: &str) -> Result<Option<i64>, StatusError> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|error| {
                StatusError::bad_request(number_problem("ParseInt", text, &error))
            }),
        }
    }
}

/// `resourceVersionMatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionMatch {
    Exact,
    NotOlderThan,
}

/// Options of list, watch and deletecollection.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    /// `None` = unset; `Some(0)` = any.
    pub(crate) revision: Option<u64>,
    pub(crate) version_match: Option<VersionMatch>,
    pub(crate) limit: usize,
    pub(crate) continue_token: Option<String>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    pub(crate) timeout_seconds: Option<u64>,
}

/// The kind these options are refused under.
const LIST_OPTIONS: (&str, &str) = ("meta.k8s.io", "ListOptions");

fn refused(errors: &[FieldError]) -> StatusError {
    StatusError::invalid(LIST_OPTIONS.0, LIST_OPTIONS.1, "", errors)
}

pub(crate) fn parse_revision(text: &str) -> Result<Option<u64>, StatusError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        // The real server does not expect the error of its own parser here.
        let problem = number_problem("ParseUint", text, &error);
        StatusError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "",
            format!("resourceVersion: Invalid value: {text:?}: {problem}"),
        )
    })
}

/// As Go tells of what is no number.
fn number_problem(function: &str, text: &str, error: &ParseIntError) -> String {
    let why = match error.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.{function}: parsing {text:?}: {why}")
}

impl ListOptions {
    /// Reads and checks them (apimachinery `pkg/apis/meta/internalversion/validation`).
    pub(crate) fn parse(query: &Query, watch: bool) -> Result<Self, StatusError> {
        let labels = LabelSelector::parse(query.text("labelSelector"))
            .map_err(|error| StatusError::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(query.text("fieldSelector"))
            .map_err(|error| StatusError::bad_request(error.to_string()))?;
        let revision_text = query.text("resourceVersion");
        let matched = query.text("resourceVersionMatch");
        let send_initial_events = query.flag("sendInitialEvents");
        let continue_token = query
            .get("continue")
            .filter(|token| !token.is_empty())
            .map(str::to_owned);
        let mut errors = Vec::new();
        let mut version_match = None;
        if watch && send_initial_events.is_some() && matched != "NotOlderThan" {
            errors.push(FieldError::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        if !matched.is_empty() {
            if watch {
                if send_initial_events.is_none() {
                    errors.push(FieldError::forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                    ));
                }
                if matched != "NotOlderThan" {
                    errors.push(FieldError::not_supported(
                        "resourceVersionMatch",
                        matched,
                        ["NotOlderThan"],
                    ));
                }
                if continue_token.is_some() {
                    errors.push(FieldError::forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden when continue is provided",
                    ));
                }
            } else {
                if revision_text.is_empty() {
                    errors.push(FieldError::forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden unless resourceVersion is provided",
                    ));
                }
                if continue_token.is_some() {
                    errors.push(FieldError::forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden when continue is provided",
                    ));
                }
                if matched == "Exact" && revision_text == "0" {
                    errors.push(FieldError::forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                    ));
                }
                if !matches!(matched, "Exact" | "NotOlderThan") {
                    errors.push(FieldError::not_supported(
                        "resourceVersionMatch",
                        matched,
                        ["Exact", "NotOlderThan", ""],
                    ));
                }
            }
            version_match = match matched {
                "Exact" => Some(VersionMatch::Exact),
                "NotOlderThan" => Some(VersionMatch::NotOlderThan),
                _ => None,
            };
        }
        if !watch && send_initial_events.is_some() {
            errors.push(FieldError::forbidden(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            ));
        }
        if !errors.is_empty() {
            return Err(refused(&errors));
        }
        if !watch && continue_token.is_some() && !matches!(revision_text, "" | "0") {
            return Err(StatusError::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let revision = match parse_revision(revision_text) {
            Ok(revision) => revision,
            Err(error) if watch => return Err(error),
            Err(error) => {
                return Err(StatusError::bad_request(format!(
                    "invalid resource version: {}",
                    error.message
                )));
            }
        };
        let limit = query.number("limit")?.unwrap_or(0).max(0);
        let timeout = query
            .number("timeoutSeconds")?
            .filter(|seconds| *seconds > 0);
        Ok(Self {
            labels,
            fields,
            revision,
            version_match,
            // What any revision satisfies is read from a cache, which does not page (apiserver `storage/cacher`).
            limit: match (revision, version_match) {
                (Some(0), None | Some(VersionMatch::NotOlderThan)) => 0,
                _ => usize::try_from(limit).unwrap_or(usize::MAX),
            },
            continue_token,
            bookmarks: query.flag("allowWatchBookmarks").unwrap_or(false),
            send_initial_events,
            timeout_seconds: timeout.map(i64::unsigned_abs),
        })
    }
}

/// `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// Options of create, update and patch.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    pub(crate) field_manager: Option<String>,
    pub(crate) field_validation: FieldValidation,
    pub(crate) dry_run: bool,
    pub(crate) force: Option<bool>,
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>, kind: &str) -> Result<bool, StatusError> {
    let mut dry = false;
    for value in values {
        match value {
            "" => {}
            "All" => dry = true,
            other => {
                return Err(StatusError::invalid(
                    "meta.k8s.io",
                    kind,
                    "",
                    &[FieldError::not_supported(
                        "dryRun",
                        serde_json::json!([other]),
                        ["All"],
                    )],
                ));
            }
        }
    }
    Ok(dry)
}

impl WriteOptions {
    /// `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub(crate) fn parse(query: &Query, kind: &str) -> Result<Self, StatusError> {
        let dry = query
            .0
            .iter()
            .filter(|(key, _)| key == "dryRun")
            .map(|(_, value)| value.as_str());
        let dry_run = dry_run(dry, kind)?;
        let field_validation = match query.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                return Err(StatusError::invalid(
                    "meta.k8s.io",
                    kind,
                    "",
                    &[FieldError::not_supported(
                        "fieldValidation",
                        other,
                        ["", "Ignore", "Strict", "Warn"],
                    )],
                ));
            }
        };
        let field_manager = query
            .get("fieldManager")
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        if let Some(name) = &field_manager {
            let mut errors = Vec::new();
            if name.len() > 128 {
                errors.push(FieldError::too_long("fieldManager", 128));
            }
            if name.chars().any(|c| c.is_control()) {
                errors.push(FieldError::invalid(
                    "fieldManager",
                    name.as_str(),
                    "should only contain printable characters",
                ));
            }
            if !errors.is_empty() {
                return Err(StatusError::invalid("meta.k8s.io", kind, "", &errors));
            }
        }
        Ok(Self {
            field_manager,
            field_validation,
            dry_run,
            force: query.flag("force"),
        })
    }
}

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Orphan,
    Background,
    Foreground,
}

/// Options of delete and deletecollection.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Option<Propagation>,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// From the body if there is one, else from the query.
    pub(crate) fn parse(query: &Query, body: Option<&Value>) -> Result<Self, StatusError> {
        let refused = |error| StatusError::invalid("meta.k8s.io", "DeleteOptions", "", &[error]);
        let (policy, orphan, grace, dry, preconditions) = match body {
            Some(body) => {
                if let Some(kind) = body.get("kind").and_then(Value::as_str)
                    && kind != "DeleteOptions"
                {
                    let version = body
                        .get("apiVersion")
                        .and_then(Value::as_str)
                        .unwrap_or_default();
                    return Err(StatusError::bad_request(format!(
                        "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
                    )));
                }
                let dry: Vec<&str> = body
                    .get("dryRun")
                    .and_then(Value::as_array)
                    .map(|values| values.iter().filter_map(Value::as_str).collect())
                    .unwrap_or_default();
                (
                    body.get("propagationPolicy").and_then(Value::as_str),
                    body.get("orphanDependents").and_then(Value::as_bool),
                    body.get("gracePeriodSeconds").and_then(Value::as_i64),
                    dry_run(dry.into_iter(), "DeleteOptions")?,
                    body.get("preconditions"),
                )
            }
            None => {
                let dry = query
                    .0
                    .iter()
                    .filter(|(key, _)| key == "dryRun")
                    .map(|(_, value)| value.as_str());
                (
                    query.get("propagationPolicy"),
                    query.flag("orphanDependents"),
                    query.number("gracePeriodSeconds")?,
                    dry_run(dry, "DeleteOptions")?,
                    None,
                )
            }
        };
        let propagation = match (policy.filter(|policy| !policy.is_empty()), orphan) {
            (Some(policy), Some(_)) => {
                return Err(refused(FieldError::invalid(
                    "propagationPolicy",
                    policy,
                    "orphanDependents and deletionPropagation cannot be both set",
                )));
            }
            (Some("Orphan"), None) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some("Background"), None) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), None) => Some(Propagation::Foreground),
            (Some(other), None) => {
                return Err(refused(FieldError::not_supported(
                    "propagationPolicy",
                    other,
                    ["Foreground", "Background", "Orphan", "nil"],
                )));
            }
            (None, None) => None,
        };
        let condition = |name: &str| {
            preconditions
                .and_then(|preconditions| preconditions.get(name))
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        Ok(Self {
            propagation,
            grace_seconds: grace,
            uid: condition("uid"),
            revision: condition("resourceVersion"),
            dry_run: dry,
        })
    }
}
