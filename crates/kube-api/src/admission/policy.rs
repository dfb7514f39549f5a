//! What validating and mutating policies have in common: expressions, conditions, variables, bindings
//! (apiserver `plugin/policy/generic`, `plugin/webhook/matchconditions`, v0.36).

use drover_structural::cel::{
    Budget, EvalError, Members, PATCH_TYPES, Program, Scope, Value as Cel,
};
use serde_json::Value;

use super::request::Seen;

/// What the validations of one policy, or one of its mutations, may cost under one binding; and its conditions by
/// themselves.
pub(super) const BUDGET: u64 = 10_000_000;
const CONDITIONS_BUDGET: u64 = 2_500_000;
/// What expressions may name.
pub(super) const VARIABLES: [&str; 7] = [
    "object",
    "oldObject",
    "request",
    "params",
    "namespaceObject",
    "variables",
    "authorizer",
];
static NOTHING: Value = Value::Null;
const EXHAUSTED: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// An expression, or why it is none.
#[derive(Debug)]
pub(super) struct Expression {
    pub(super) text: String,
    program: Result<Program, String>,
}

impl Expression {
    pub(super) fn of(value: &Value) -> Option<Self> {
        Self::naming(value, &VARIABLES)
    }

    /// One that makes a patch.
    pub(super) fn of_patch(value: &Value) -> Option<Self> {
        Self::naming(value, &[&VARIABLES[..], &PATCH_TYPES].concat())
    }

    fn naming(value: &Value, names: &[&str]) -> Option<Self> {
        let text = value.as_str().filter(|text| !text.trim().is_empty())?;
        Some(Self {
            text: text.to_owned(),
            program: Program::parse(text, names).map_err(|error| error.to_string()),
        })
    }

    /// Its value, or what is told of why there is none.
    pub(super) fn value<'a>(
        &'a self,
        scope: &Scope<'a, '_>,
        budget: &mut Budget,
    ) -> Result<Cel<'a>, Trouble> {
        let program = match &self.program {
            Ok(program) => program,
            Err(problem) => {
                return Err(Trouble::Failed(format!(
                    "compilation error: compilation failed: {problem}"
                )));
            }
        };
        program
            .evaluate(scope, budget)
            .map_err(|error| match error {
                EvalError::OutOfBudget => Trouble::Exhausted,
                EvalError::Failed(problem) => Trouble::Failed(format!(
                    "expression '{}' resulted in error: {problem}",
                    self.text
                )),
            })
    }
}

/// Why an expression has no value.
pub(super) enum Trouble {
    Failed(String),
    Exhausted,
}

impl Trouble {
    pub(super) fn told(self) -> String {
        match self {
            Self::Failed(problem) => problem,
            Self::Exhausted => EXHAUSTED.to_owned(),
        }
    }
}

/// A policy, apart from what it does.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) constraints: Value,
    pub(super) param_kind: Value,
    /// What goes wrong refuses the write.
    pub(super) strict: bool,
    conditions: Vec<Expression>,
    variables: Vec<(String, Expression)>,
}

/// A binding of a policy.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) matches: Value,
    pub(super) param_ref: Value,
    pub(super) denies: bool,
    pub(super) warns: bool,
}

fn name_of(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.unwrap_or_default().to_owned()
}

impl Binding {
    pub(super) fn of(object: &Value) -> Self {
        let spec = &object["spec"];
        let does = |action: &str| {
            let actions = spec["validationActions"].as_array();
            actions.is_some_and(|actions| actions.iter().any(|named| named == action))
        };
        Self {
            name: name_of(object),
            matches: spec["matchResources"].clone(),
            param_ref: spec["paramRef"].clone(),
            denies: does("Deny"),
            warns: does("Warn"),
        }
    }
}

/// The items of a list in a policy.
pub(super) fn list<'v>(spec: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
    spec[member].as_array().into_iter().flatten()
}

impl Policy {
    pub(super) fn compile(object: &Value) -> Self {
        let spec = &object["spec"];
        Self {
            name: name_of(object),
            constraints: spec["matchConstraints"].clone(),
            param_kind: spec["paramKind"].clone(),
            strict: spec["failurePolicy"] != "Ignore",
            conditions: list(spec, "matchConditions")
                .filter_map(|condition| Expression::of(&condition["expression"]))
                .collect(),
            variables: list(spec, "variables")
                .filter_map(|variable| {
                    let name = variable["name"].as_str()?.to_owned();
                    Some((name, Expression::of(&variable["expression"])?))
                })
                .collect(),
        }
    }

    /// Defines the variables of the policy, as seen from `scope`.
    pub(super) fn define<'a>(
        &'a self,
        variables: &Members<'a>,
        scope: &Scope<'a, '_>,
        budget: &mut Budget,
    ) {
        for (name, expression) in &self.variables {
            if let Ok(program) = &expression.program {
                variables.define(name, program, scope, budget);
            }
        }
    }

    /// Whether all conditions hold; one that does not outweighs others that fail.
    pub(super) fn concerned<'a>(
        &'a self,
        seen: &'a Seen,
        authorizer: &Cel<'a>,
    ) -> Result<bool, Trouble> {
        // Conditions see no namespace (apiserver `webhook/matchconditions/matcher.go`).
        let scope = scope(seen, &NOTHING, authorizer);
        let mut budget = Budget::new(CONDITIONS_BUDGET);
        let mut problems = Vec::new();
        for condition in &self.conditions {
            match condition.value(&scope, &mut budget) {
                Ok(Cel::Bool(false)) => return Ok(false),
                Ok(_) => {}
                Err(Trouble::Exhausted) if self.strict => return Err(Trouble::Exhausted),
                Err(Trouble::Exhausted) => return Ok(false),
                Err(Trouble::Failed(problem)) => problems.push(problem),
            }
        }
        match problems.len() {
            0 => Ok(true),
            _ if !self.strict => Ok(false),
            1 => Err(Trouble::Failed(problems.remove(0))),
            _ => Err(Trouble::Failed(format!("[{}]", problems.join(", ")))),
        }
    }
}

/// What expressions see of a write.
pub(super) fn scope<'a, 's>(
    seen: &'a Seen,
    namespace: &'a Value,
    authorizer: &Cel<'a>,
) -> Scope<'a, 's> {
    Scope::new(vec![
        ("object", Cel::of(&seen.object, None)),
        ("oldObject", Cel::of(&seen.old, None)),
        ("request", Cel::of(&seen.request, None)),
        ("params", Cel::of(&seen.params, None)),
        ("namespaceObject", Cel::of(namespace, None)),
        ("authorizer", authorizer.clone()),
    ])
}
