//! Mutating policies: what they make of an object (apiserver `plugin/policy/mutating`, v0.36).
//!
//! What a policy changes belongs to no manager. A configuration is merged by the rules of server-side apply, and may say
//! nothing about what is only replaced as a whole.

use drover_structural::cel::{Budget, Members, Value as Cel};
use drover_structural::json_patch::{self, JsonPatchError};
use drover_structural::typed;
use serde_json::Value;

use super::policy::{BUDGET, Expression, Policy, list, scope};
use super::request::Seen;
use crate::registry::Resource;
use crate::rest::Context;
use crate::rest::notes::Notes;
use crate::rest::options::FieldValidation;
use crate::rest::structure;
use crate::rest::write::{Tracking, cannot_be};
use crate::status::StatusError;

/// What a policy does.
#[derive(Debug)]
enum Mutation {
    Apply(Expression),
    Patch(Expression),
}

/// As what a policy sees the object of a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeing<'r> {
    pub(super) resource: &'r Resource,
    /// Whether configurations can be merged into it: what is of another group than its resource, and options of ways
    /// into it, have no type there.
    pub(super) typed: bool,
}

/// A mutating policy.
#[derive(Debug)]
pub(super) struct Mutating {
    pub(super) policy: Policy,
    mutations: Vec<Mutation>,
    /// It is asked again if something else changed the object after it.
    pub(super) again: bool,
}

/// Why there is no result of a mutation.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The policy went wrong.
    Policy(String),
    /// The request ends, whatever the policy says of failures.
    Request(StatusError),
}

impl Mutating {
    pub(super) fn compile(object: &Value) -> Self {
        let spec = &object["spec"];
        let mutation = |mutation: &Value| {
            let applied = Expression::of_patch(&mutation["applyConfiguration"]["expression"]);
            let patched = Expression::of_patch(&mutation["jsonPatch"]["expression"]);
            match mutation["patchType"].as_str()? {
                "ApplyConfiguration" => applied.map(Mutation::Apply),
                "JSONPatch" => patched.map(Mutation::Patch),
                _ => None,
            }
        };
        Self {
            policy: Policy::compile(object),
            mutations: list(spec, "mutations").filter_map(mutation).collect(),
            again: spec["reinvocationPolicy"] == "IfNeeded",
        }
    }

    pub(super) fn mutations(&self) -> usize {
        self.mutations.len()
    }

    /// The object of `seen`, seen as `seeing`, after one mutation.
    pub(super) fn mutated<'a>(
        &'a self,
        place: usize,
        cx: &Context,
        Seeing { resource, typed }: Seeing<'_>,
        seen: &'a Seen,
        authorizer: &Cel<'a>,
    ) -> Result<Value, Refusal> {
        let Some(mutation) = self.mutations.get(place) else {
            return Ok(seen.object.clone());
        };
        let variables = Members::default();
        let scope = scope(seen, &seen.namespace, authorizer).with("variables", &variables);
        let mut budget = Budget::new(BUDGET);
        self.policy.define(&variables, &scope, &mut budget);
        let (Mutation::Apply(expression) | Mutation::Patch(expression)) = mutation;
        let value = expression
            .value(&scope, &mut budget)
            .map_err(|trouble| Refusal::Policy(trouble.told()))?;
        let mut object = match mutation {
            Mutation::Apply(_) => {
                let configuration = value.configuration().map_err(Refusal::Policy)?;
                if !typed {
                    return Err(untyped(resource));
                }
                applied(resource, &seen.object, configuration)?
            }
            Mutation::Patch(_) => {
                let patch = value.operations().map_err(Refusal::Policy)?;
                patched(cx, resource, &seen.object, &patch)?
            }
        };
        structure::default(resource, &mut object);
        Ok(object)
    }
}

fn untyped(resource: &Resource) -> Refusal {
    Refusal::Policy(format!(
        "error applying patch: failed to convert patch object to typed object: no corresponding type for {}/{}, Kind={}",
        resource.group, resource.version, resource.kind
    ))
}

/// `configuration` merged into an object.
fn applied(
    resource: &Resource,
    object: &Value,
    mut configuration: Value,
) -> Result<Value, Refusal> {
    let wrong = |what: String| Refusal::Policy(format!("error applying patch: {what}"));
    for member in ["apiVersion", "kind"] {
        configuration[member] = object[member].clone();
    }
    let schema = structure::schema(resource);
    typed::check(&configuration, &schema, false).map_err(|error| {
        wrong(format!(
            "failed to convert patch object to typed object: {error}"
        ))
    })?;
    let atomics: Vec<String> = typed::atomics(&configuration, &schema)
        .iter()
        .map(ToString::to_string)
        .collect();
    if !atomics.is_empty() {
        return Err(wrong(format!(
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {}",
            atomics.join(", ")
        )));
    }
    typed::check(object, &schema, true).map_err(|error| {
        wrong(format!(
            "failed to convert original object to typed object: {error}"
        ))
    })?;
    typed::merge(object, &configuration, &schema)
        .map_err(|error| wrong(format!("failed to merge patch: {error}")))
}

/// An object after a JSON patch; one whose test fails does nothing.
fn patched(
    cx: &Context,
    resource: &Resource,
    object: &Value,
    patch: &Value,
) -> Result<Value, Refusal> {
    let mut after = object.clone();
    match json_patch::apply(&mut after, patch) {
        Ok(()) => {}
        Err(JsonPatchError::TestFailed(_)) => return Ok(after),
        Err(error) => return Err(Refusal::Policy(format!("JSON Patch: {error}"))),
    }
    let (notes, strict) = (Notes::default(), FieldValidation::Strict);
    structure::check_fields(resource, cx, &mut after, &notes, strict, &Tracking::Update)
        .map_err(|error| Refusal::Request(StatusError::internal(cannot_be(&error))))?;
    Ok(after)
}
