//! Mutating policies at work on one object (apiserver `plugin/policy/mutating/dispatcher.go`,
//! `plugin/policy/generic/policy_dispatcher.go`, v0.36).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::hooks::Hook;
use super::mutating::{Mutating, Refusal, Seeing};
use super::policy::{Binding, Policy};
use super::request::{self, Write};
use super::{authorizer, forbidden, matching, params};
use crate::builtin;
use crate::rest::{Api, Context};
use crate::status::StatusError;

/// Policy, binding, and the namespace and name of the parameters.
type Key = [String; 4];

/// A policy under a binding with certain parameters.
struct Invocation<'h> {
    mutating: &'h Mutating,
    binding: &'h Binding,
    found: Arc<matching::Found>,
    params: Value,
}

impl Invocation<'_> {
    fn key(&self) -> Key {
        let params = &self.params["metadata"];
        let text = |member: &str| params[member].as_str().unwrap_or_default().to_owned();
        [
            self.mutating.policy.name.clone(),
            self.binding.name.clone(),
            text("namespace"),
            text("name"),
        ]
    }
}

/// What went wrong with a policy.
struct Wrong {
    message: String,
    /// It went wrong with an object rather than with the policy itself.
    invalid: bool,
}

/// Times of asking all mutating policies about one write.
pub(super) struct Rounds<'r> {
    pub(super) api: &'r Arc<Api>,
    pub(super) cx: &'r Context,
    pub(super) write: &'r Write<'r>,
    /// Who was asked, and is to be asked again if something changed.
    pub(super) again: BTreeSet<Key>,
}

impl Rounds<'_> {
    /// Asks everybody, or only those in `only`; whether somebody changed something.
    pub(super) fn run(
        &mut self,
        hooks: &[Hook<Mutating>],
        only: Option<&BTreeSet<Key>>,
        object: &mut Value,
    ) -> Result<bool, StatusError> {
        let mut wrong = Vec::new();
        let mut changed = false;
        for invocation in self.invocations(hooks, object, &mut wrong) {
            let key = invocation.key();
            if only.is_some_and(|only| !only.contains(&key)) {
                continue;
            }
            if let Some(did) = self.invoke(&invocation, object, &mut wrong)? {
                changed |= did;
                if invocation.mutating.again {
                    self.again.insert(key);
                }
            }
        }
        match self.refusal(object, wrong) {
            Some(refusal) => Err(refusal),
            None => Ok(changed),
        }
    }

    fn invocations<'h>(
        &self,
        hooks: &'h [Hook<Mutating>],
        object: &Value,
        wrong: &mut Vec<Wrong>,
    ) -> Vec<Invocation<'h>> {
        let mut invocations = Vec::new();
        let write = self.write.of(object);
        for hook in hooks {
            let policy = &hook.policy.policy;
            let mut tell = |message: String, binding: Option<&Binding>| {
                wrong.extend(told(policy, binding, &message, false));
            };
            let found = match matching::matched(self.api, &policy.constraints, &write) {
                Ok(None) => continue,
                Ok(Some(found)) => Arc::new(found),
                Err(problem) => {
                    tell(format!("failed to configure policy: {problem}"), None);
                    continue;
                }
            };
            for binding in &hook.bindings {
                let params = match matching::matched(self.api, &binding.matches, &write) {
                    Ok(None) => continue,
                    Ok(Some(_)) => params::of(self.api, policy, binding, &write),
                    Err(problem) => Err(problem),
                };
                match params {
                    Ok(params) => invocations.extend(params.into_iter().map(|params| Invocation {
                        mutating: &hook.policy,
                        binding,
                        found: Arc::clone(&found),
                        params,
                    })),
                    Err(problem) => tell(
                        format!("failed to configure binding: {problem}"),
                        Some(binding),
                    ),
                }
            }
        }
        invocations
    }

    /// Lets a policy change the object; whether it did, if it was concerned.
    fn invoke(
        &self,
        invocation: &Invocation<'_>,
        object: &mut Value,
        wrong: &mut Vec<Wrong>,
    ) -> Result<Option<bool>, StatusError> {
        let Invocation {
            mutating,
            binding,
            found,
            params,
        } = invocation;
        let policy = &mutating.policy;
        let authorizer = authorizer::variable(self.api, &self.cx.identity, self.write);
        let seen = |object: &Value| {
            let write = self.write.of(object);
            request::Seen::new(self.api, self.cx, &write, found, params.clone())
        };
        match policy.concerned(&seen(object), &authorizer) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(trouble) => {
                wrong.extend(told(policy, Some(binding), &trouble.told(), true));
                return Ok(None);
            }
        }
        let mut changed = false;
        let (write, other) = (self.write, found.other.as_deref());
        let seeing = Seeing {
            resource: write.form.or(other).unwrap_or(write.resource),
            typed: write.form.is_none_or(|form| {
                (&form.group, &form.version) == (&write.resource.group, &write.resource.version)
                    && builtin::is_kind(&form.group, &form.version, &form.kind)
            }),
        };
        for place in 0..mutating.mutations() {
            let seen = seen(object);
            match mutating.mutated(place, self.cx, seeing, &seen, &authorizer) {
                Ok(after) => {
                    changed = true;
                    *object = request::of_write(write, other, after);
                }
                Err(Refusal::Policy(problem)) => {
                    wrong.extend(told(policy, Some(binding), &problem, true));
                }
                Err(Refusal::Request(error)) => return Err(error),
            }
        }
        Ok(Some(changed))
    }

    /// The refusal for all that went wrong (apiserver `plugin/policy/generic/policy_dispatcher.go`).
    fn refusal(&self, object: &Value, wrong: Vec<Wrong>) -> Option<StatusError> {
        let first = wrong.first()?;
        let mut error = forbidden(self.write, object, "");
        error.message.clone_from(&first.message);
        if first.invalid {
            error.reason = "Invalid".into();
        }
        let told = wrong.into_iter();
        Some(told.fold(error, |error, wrong| error.cause("", wrong.message, "")))
    }
}

/// What is told of a policy that went wrong, if that counts.
fn told(policy: &Policy, binding: Option<&Binding>, message: &str, invalid: bool) -> Option<Wrong> {
    let message = match binding {
        Some(binding) => format!(
            "policy '{}' with binding '{}' denied request: {message}",
            policy.name, binding.name
        ),
        None => format!("policy {:?} denied request: {message}", policy.name),
    };
    policy.strict.then_some(Wrong { message, invalid })
}
