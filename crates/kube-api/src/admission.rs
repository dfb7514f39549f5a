//! Admission: what is added to an object on its way in, and who may refuse it.
//!
//! Owns the order of both. First the kind completes the object (`Strategy::complete`), and mutating policies change it
//! ([`mutating`]), twice if something changed. What validation then let through is held against the limits of its
//! namespace ([`limits`]), its levels of pod security ([`pod_security`]), and validating policies ([`validating`]); last
//! it takes room from the quotas of its namespace ([`quota`]).
//!
//! Owns, too, which policies look at a write ([`matching`]), and what they look at ([`request`]). Everything that decides
//! is read from memory, so that a decision is never older than the newest acknowledged policy ([`hooks`]). What the server
//! does by itself ([`Context::own`]) is not asked about.
//!
//! Sources: apiserver `pkg/admission`, `pkg/admission/plugin/policy`, v0.36.

mod authorizer;
mod hooks;
pub(crate) mod limits;
mod matching;
mod mutating;
mod params;
mod pod_security;
mod policy;
pub(crate) mod quota;
mod request;
mod rounds;
mod validating;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

pub(crate) use self::hooks::Policies;
use self::policy::{Binding, Policy};
pub(crate) use self::request::{Operation, Write};
use self::rounds::Rounds;
use self::validating::{Decision, Validating};
use crate::registry::{Resource, Strategy};
use crate::rest::object::meta;
use crate::rest::{Api, Context};
use crate::status::StatusError;

const GROUP: &str = "admissionregistration.k8s.io";

/// Whether these are policies or what binds them.
fn is_policy(resource: &Resource) -> bool {
    *resource.group == *GROUP && resource.plural.contains("admissionpolic")
}

/// Who may refuse a write, in their order.
///
/// # Errors
///
/// The refusal of the first that denies it.
pub(crate) fn check(api: &Arc<Api>, cx: &Context, write: &Write<'_>) -> Result<(), StatusError> {
    if cx.own {
        return Ok(());
    }
    limits::check(api, write)?;
    pod_security::check(api, cx, write)?;
    validate(api, cx, write)
}

/// Completes the object of a write, and lets mutating policies change it.
///
/// # Errors
///
/// The refusal of a policy that goes wrong, or of the kind.
pub(crate) fn mutate(
    api: &Arc<Api>,
    cx: &Context,
    strategy: &dyn Strategy,
    write: &Write<'_>,
    object: &mut Value,
) -> Result<(), StatusError> {
    let complete = |object: &mut Value| {
        let completed = strategy.complete(api, object, write.old);
        completed.map_err(|why| forbidden(write, object, &why))
    };
    complete(object)?;
    change(api, cx, write, object, complete)
}

/// Lets mutating policies change what is no object of the resource: a Scale, what a subresource is called with.
///
/// # Errors
///
/// The refusal of a policy that goes wrong.
pub(crate) fn mutate_form(
    api: &Arc<Api>,
    cx: &Context,
    write: &Write<'_>,
    object: &mut Value,
) -> Result<(), StatusError> {
    change(api, cx, write, object, |_| Ok(()))
}

/// Asks mutating policies, and those who want it again after `complete` if something changed.
fn change(
    api: &Arc<Api>,
    cx: &Context,
    write: &Write<'_>,
    object: &mut Value,
    complete: impl Fn(&mut Value) -> Result<(), StatusError>,
) -> Result<(), StatusError> {
    if cx.own || is_policy(write.resource) {
        return Ok(());
    }
    let hooks = api.policies.mutating(&api.store);
    if hooks.is_empty() {
        return Ok(());
    }
    let mut rounds = Rounds {
        api,
        cx,
        write,
        again: BTreeSet::new(),
    };
    if rounds.run(&hooks, None, object)? {
        complete(object)?;
        let again = std::mem::take(&mut rounds.again);
        rounds.run(&hooks, Some(&again), object)?;
    }
    Ok(())
}

/// The refusal of a write; an object without a name is called by what its name will begin with
/// (apiserver `admission/errors.go`).
fn forbidden(write: &Write<'_>, object: &Value, why: &str) -> StatusError {
    let named = [
        write.name,
        meta(object, "name"),
        meta(object, "generateName"),
    ];
    let name = named.into_iter().find(|name| !name.is_empty());
    let resource = write.resource;
    StatusError::forbidden(
        &resource.group,
        &resource.plural,
        name.unwrap_or("Unknown"),
        why,
    )
}

/// Asks all validating policies about a write.
fn validate(api: &Arc<Api>, cx: &Context, write: &Write<'_>) -> Result<(), StatusError> {
    // Policies do not decide about themselves, so that there is a way back.
    if cx.own || is_policy(write.resource) {
        return Ok(());
    }
    let hooks = api.policies.validating(&api.store);
    let mut refusal = None;
    for hook in hooks.iter() {
        let validating = &hook.policy;
        let policy = &validating.policy;
        let found = match matching::matched(api, &policy.constraints, write) {
            Ok(None) => continue,
            Ok(Some(found)) => found,
            Err(problem) => {
                let problem = format!("failed to configure policy: {problem}");
                deny(
                    &mut refusal,
                    write,
                    validating.failed(problem),
                    policy,
                    None,
                );
                continue;
            }
        };
        for binding in &hook.bindings {
            let decisions = match ask(api, cx, write, &found, validating, binding) {
                Ok(decisions) => decisions,
                Err(problem) => {
                    let problem = format!("failed to configure binding: {problem}");
                    deny(
                        &mut refusal,
                        write,
                        validating.failed(problem),
                        policy,
                        Some(binding),
                    );
                    continue;
                }
            };
            for decision in decisions {
                if binding.warns {
                    cx.warn(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                        policy.name, binding.name, decision.message
                    ));
                }
                if binding.denies || decision.always {
                    deny(&mut refusal, write, Some(decision), policy, Some(binding));
                }
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// The call of a subresource, or of a kind that only answers calls.
#[derive(Debug)]
pub(crate) struct CallOf<'c> {
    pub(crate) operation: Operation,
    pub(crate) resource: &'c Resource,
    /// The kind of its body.
    pub(crate) form: &'c Resource,
    pub(crate) subresource: &'c str,
    pub(crate) namespace: &'c str,
    pub(crate) name: &'c str,
}

impl CallOf<'_> {
    fn write<'w>(&'w self, cx: &Context, body: Option<&'w Value>) -> Write<'w> {
        Write {
            operation: self.operation,
            resource: self.resource,
            subresource: self.subresource,
            namespace: self.namespace,
            name: self.name,
            old: None,
            new: body,
            form: Some(self.form),
            dry_run: cx.dry_run,
        }
    }

    /// Lets mutating policies change the body.
    ///
    /// # Errors
    ///
    /// The refusal of a policy that goes wrong.
    pub(crate) fn mutate(
        &self,
        api: &Arc<Api>,
        cx: &Context,
        body: &mut Value,
    ) -> Result<(), StatusError> {
        mutate_form(api, cx, &self.write(cx, None), body)
    }

    /// Asks all validating policies.
    ///
    /// # Errors
    ///
    /// The refusal of the first that denies it.
    pub(crate) fn validate(
        &self,
        api: &Arc<Api>,
        cx: &Context,
        body: &Value,
    ) -> Result<(), StatusError> {
        validate(api, cx, &self.write(cx, Some(body)))
    }
}

/// What a policy has against a write, under a binding.
fn ask(
    api: &Arc<Api>,
    cx: &Context,
    write: &Write<'_>,
    found: &matching::Found,
    validating: &Validating,
    binding: &Binding,
) -> Result<Vec<Decision>, String> {
    if matching::matched(api, &binding.matches, write)?.is_none() {
        return Ok(Vec::new());
    }
    let params = params::of(api, &validating.policy, binding, write)?;
    let authorizer = authorizer::variable(api, &cx.identity, write);
    let mut decisions = Vec::new();
    for params in params {
        let seen = request::Seen::new(api, cx, write, found, params);
        decisions.extend(validating.decide(&seen, &authorizer));
    }
    Ok(decisions)
}

/// Makes the refusal of a decision, unless there is one.
fn deny(
    refusal: &mut Option<StatusError>,
    write: &Write<'_>,
    decision: Option<Decision>,
    policy: &Policy,
    binding: Option<&Binding>,
) {
    let (None, Some(decision)) = (&refusal, decision) else {
        return;
    };
    let with = binding.map_or_else(String::new, |binding| {
        format!(" with binding '{}'", binding.name)
    });
    let message = format!(
        "ValidatingAdmissionPolicy '{}'{with} denied request: {}",
        policy.name, decision.message
    );
    let resource = write.resource;
    let mut error = StatusError::forbidden(&resource.group, &resource.plural, write.name, &message)
        .cause("", message, "");
    let (code, reason) = match decision.reason.as_deref() {
        Some("Forbidden") => (StatusCode::FORBIDDEN, "Forbidden"),
        Some("Unauthorized") => (StatusCode::UNAUTHORIZED, "Unauthorized"),
        Some("RequestEntityTooLarge") => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
        _ => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
    };
    error.code = code;
    error.reason = reason.into();
    *refusal = Some(error);
}
