//! Query parameters and option bodies, as typed options.

mod delete;
mod duration;

use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;
use std::time::Duration;

use http::StatusCode;

pub(crate) use self::delete::{DeleteOptions, Propagation};
use super::selector::{FieldSelector, LabelSelector};
use crate::status::{FieldError, StatusError};

/// The raw query, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

impl Query {
    /// As Go reads a query: what is wrongly encoded or holds a semicolon is left out (Go `net/url.ParseQuery`).
    pub(crate) fn parse(query: &str) -> Self {
        let readable = query.split('&').filter(|pair| is_readable(pair));
        let pairs = readable.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()).into_owned());
        Self(pairs.collect())
    }

    /// `timeout`: how long the client waits; `None` if that is not said or for ever.
    ///
    /// # Errors
    ///
    /// It is no duration as Go writes them.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, StatusError> {
        let text = self.text("timeout");
        if text.is_empty() {
            return Ok(None);
        }
        let asked = duration::parse(text).map_err(|problem| {
            StatusError::bad_request(format!(
                "invalid timeout specified in the request URL - {problem}"
            ))
        })?;
        Ok(asked.filter(|asked| !asked.is_zero()))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(crate) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
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

    /// The whole number that a parameter is, if it is there.
    ///
    /// # Errors
    ///
    /// It is another text.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, StatusError> {
        match self.get(name) {
            None => Ok(None),
            Some(_) => self.whole(name).map(Some),
        }
    }

    /// The whole number that a parameter must be.
    ///
    /// # Errors
    ///
    /// It is none.
    pub(crate) fn whole(&self, name: &str) -> Result<i64, StatusError> {
        let text = self.text(name);
        text.parse()
            .map_err(|error| StatusError::bad_request(number_problem("ParseInt", text, &error)))
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

/// A number without a sign, or how Go tells of what is none.
pub(crate) fn unsigned<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|error| number_problem("ParseUint", text, &error))
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

/// Whether it is a dry run, and what is wrong with how it is asked for.
fn dry_run(values: &[&str]) -> (bool, Option<FieldError>) {
    let problem = values
        .iter()
        .any(|value| *value != "All")
        .then(|| FieldError::not_supported("dryRun", serde_json::json!(values), ["All"]));
    (!values.is_empty(), problem)
}

/// Whether Go reads a part of a query.
fn is_readable(pair: &str) -> bool {
    let mut rest = pair;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.as_bytes().get(..2);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return false;
        }
        rest = after;
    }
    !pair.contains(';')
}

/// What is wrong with the name of a manager (apimachinery `pkg/apis/meta/v1/validation`).
fn manager_problems(name: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if name.len() > 128 {
        errors.push(FieldError::too_long("fieldManager", 128));
    }
    let wrong = name.char_indices().filter(|(_, c)| c.is_control());
    errors.extend(wrong.map(|(place, c)| {
        let detail = format!(
            "invalid character U+{:04X} (at position {place})",
            u32::from(c)
        );
        FieldError::invalid("fieldManager", name, detail)
    }));
    errors
}

impl WriteOptions {
    /// `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub(crate) fn parse(query: &Query, kind: &str) -> Result<Self, StatusError> {
        let field_manager = query
            .get("fieldManager")
            .filter(|name| !name.is_empty())
            .map(str::to_owned);
        let mut errors: Vec<FieldError> = field_manager
            .as_deref()
            .map(manager_problems)
            .unwrap_or_default();
        let (dry_run, problem) = dry_run(&query.all("dryRun").collect::<Vec<_>>());
        errors.extend(problem);
        let said = query.text("fieldValidation");
        let field_validation = match said {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let known = ["", "Ignore", "Strict", "Warn"];
                errors.push(FieldError::not_supported("fieldValidation", other, known));
                FieldValidation::Warn
            }
        };
        if !errors.is_empty() {
            return Err(StatusError::invalid("meta.k8s.io", kind, "", &errors));
        }
        Ok(Self {
            field_manager,
            field_validation,
            dry_run,
            force: query.flag("force"),
        })
    }
}
