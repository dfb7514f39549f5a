//! Options of delete and deletecollection.

use serde_json::{Value, json};

use super::{Query, dry_run};
use crate::builtin;
use crate::status::{FieldError, StatusError};

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

fn refused(error: FieldError) -> StatusError {
    StatusError::invalid("meta.k8s.io", "DeleteOptions", "", &[error])
}

/// What a query says, in the form of a body. An empty precondition is none
/// (apimachinery `Convert_url_Values_To_v1_DeleteOptions`).
fn of_query(query: &Query) -> Result<Value, StatusError> {
    let mut body = json!({});
    if let Some(policy) = query.get("propagationPolicy") {
        body["propagationPolicy"] = policy.into();
    }
    if let Some(orphan) = query.flag("orphanDependents") {
        body["orphanDependents"] = orphan.into();
    }
    if let Some(seconds) = query.number("gracePeriodSeconds")? {
        body["gracePeriodSeconds"] = seconds.into();
    }
    let dry: Vec<&str> = query.all("dryRun").collect();
    if !dry.is_empty() {
        body["dryRun"] = dry.into();
    }
    for name in ["uid", "resourceVersion"] {
        if let Some(value) = query.get(name).filter(|value| !value.is_empty()) {
            body["preconditions"][name] = value.into();
        }
    }
    Ok(body)
}

/// Whether a body is of these options at all.
fn check_body(body: &Value) -> Result<(), StatusError> {
    let text = |member: &str| body[member].as_str().unwrap_or_default();
    let kind = text("kind");
    if !matches!(kind, "" | "DeleteOptions") {
        return Err(StatusError::bad_request(format!(
            "no kind {kind:?} is registered for version {:?} in scheme \"pkg/runtime/scheme.go:111\"",
            text("apiVersion")
        )));
    }
    builtin::delete_options_problem(body).map_or(Ok(()), |why| Err(StatusError::bad_request(why)))
}

impl DeleteOptions {
    /// From the body if there is one, else from the query.
    ///
    /// # Errors
    ///
    /// They cannot be read, or contradict each other.
    pub(crate) fn parse(query: &Query, body: Option<&Value>) -> Result<Self, StatusError> {
        let body = match body {
            Some(body) => {
                check_body(body)?;
                body.clone()
            }
            None => of_query(query)?,
        };
        let orphan = body["orphanDependents"].as_bool();
        let propagation = propagation(body["propagationPolicy"].as_str(), orphan)?;
        let dry = body["dryRun"].as_array().into_iter().flatten();
        let dry: Vec<&str> = dry.filter_map(Value::as_str).collect();
        let (dry_run, problem) = dry_run(&dry);
        if let Some(problem) = problem {
            return Err(refused(problem));
        }
        let condition = |name: &str| body["preconditions"][name].as_str().map(str::to_owned);
        Ok(Self {
            propagation,
            grace_seconds: body["gracePeriodSeconds"].as_i64(),
            uid: condition("uid"),
            revision: condition("resourceVersion"),
            dry_run,
        })
    }
}

/// What happens to dependents, from the new way of saying it and the old.
fn propagation(
    policy: Option<&str>,
    orphan: Option<bool>,
) -> Result<Option<Propagation>, StatusError> {
    Ok(match (policy, orphan) {
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
            let known = ["Foreground", "Background", "Orphan", "nil"];
            return Err(refused(FieldError::not_supported(
                "propagationPolicy",
                other,
                known,
            )));
        }
        (None, None) => None,
    })
}
