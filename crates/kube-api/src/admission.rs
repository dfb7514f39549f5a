//! Admission by policy: ValidatingAdmissionPolicies and their bindings decide on every write.
//!
//! Owns which policies look at a write ([`matching`]), what they look at ([`request`]), and what they say ([`policy`]).
//! Policies are compiled once and kept until one of them changes; they are read from memory, so that a decision is never
//! older than the newest acknowledged policy. What the server does by itself ([`Context::own`]) is not asked about.
//!
//! Sources: apiserver `pkg/admission/plugin/policy`, v0.36.

mod authorizer;
mod matching;
mod params;
mod policy;
mod request;

use std::sync::Arc;

use http::StatusCode;
use parking_lot::RwLock;
use serde_json::Value;

use self::policy::{Binding, Decision, Policy};
pub(crate) use self::request::{Operation, Write};
use crate::rest::{Api, Context};
use crate::status::StatusError;
use crate::store::{Range, Store};

const GROUP: &str = "admissionregistration.k8s.io";
const POLICIES: &str = "admissionregistration.k8s.io/validatingadmissionpolicies";
const BINDINGS: &str = "admissionregistration.k8s.io/validatingadmissionpolicybindings";

/// A policy with those who use it.
#[derive(Debug)]
struct Hook {
    policy: Policy,
    bindings: Vec<Binding>,
}

/// The compiled policies, and up to which revisions their tables were read.
#[derive(Debug, Default)]
struct Compiled {
    read: Option<[u64; 2]>,
    hooks: Arc<[Hook]>,
}

/// The policies of a server.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    compiled: RwLock<Compiled>,
}

impl Policies {
    fn hooks(&self, store: &Store) -> Arc<[Hook]> {
        let newest = [POLICIES, BINDINGS].map(|table| store.table_revision(table));
        {
            let compiled = self.compiled.read();
            if compiled.read.is_some_and(|read| {
                read.iter()
                    .zip(&newest)
                    .all(|(read, newest)| read >= newest)
            }) {
                return Arc::clone(&compiled.hooks);
            }
        }
        let mut compiled = self.compiled.write();
        // Read after the revisions were: what came in between is read again next time.
        compiled.hooks = compile(store);
        compiled.read = Some(newest);
        Arc::clone(&compiled.hooks)
    }
}

fn objects(store: &Store, table: &str) -> Vec<Value> {
    store
        .list(table, &Range::default())
        .map(|page| page.items.iter().map(|(_, item)| item.value()).collect())
        .unwrap_or_default()
}

/// The policies that somebody uses.
fn compile(store: &Store) -> Arc<[Hook]> {
    let bindings = objects(store, BINDINGS);
    if bindings.is_empty() {
        return Arc::default();
    }
    let hooks = objects(store, POLICIES).into_iter().filter_map(|object| {
        let policy = Policy::compile(&object);
        let bindings: Vec<Binding> = bindings
            .iter()
            .filter(|binding| binding["spec"]["policyName"].as_str() == Some(&policy.name))
            .map(Binding::of)
            .collect();
        (!bindings.is_empty()).then_some(Hook { policy, bindings })
    });
    hooks.collect()
}

/// Asks all policies about a write.
///
/// # Errors
///
/// The refusal of the first that denies it.
pub(crate) fn check(api: &Arc<Api>, cx: &Context, write: &Write<'_>) -> Result<(), StatusError> {
    // Policies do not decide about themselves, so that there is a way back.
    if cx.own || *write.resource.group == *GROUP {
        return Ok(());
    }
    let hooks = api.policies.hooks(&api.store);
    let mut refusal = None;
    for hook in hooks.iter() {
        let policy = &hook.policy;
        let found = match matching::matched(api, &policy.constraints, write) {
            Ok(None) => continue,
            Ok(Some(found)) => found,
            Err(problem) => {
                let problem = format!("failed to configure policy: {problem}");
                deny(&mut refusal, write, policy.failed(problem), policy, None);
                continue;
            }
        };
        for binding in &hook.bindings {
            let decisions = match ask(api, cx, write, &found, policy, binding) {
                Ok(decisions) => decisions,
                Err(problem) => {
                    let problem = format!("failed to configure binding: {problem}");
                    deny(
                        &mut refusal,
                        write,
                        policy.failed(problem),
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

/// What a policy has against a write, under a binding.
fn ask(
    api: &Arc<Api>,
    cx: &Context,
    write: &Write<'_>,
    found: &matching::Found,
    policy: &Policy,
    binding: &Binding,
) -> Result<Vec<Decision>, String> {
    if matching::matched(api, &binding.matches, write)?.is_none() {
        return Ok(Vec::new());
    }
    let params = params::of(api, policy, binding, write)?;
    let authorizer = authorizer::variable(api, &cx.identity, write);
    let mut decisions = Vec::new();
    for params in params {
        let seen = request::Seen::new(api, cx, write, found, params);
        decisions.extend(policy.decide(&seen, &authorizer));
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
