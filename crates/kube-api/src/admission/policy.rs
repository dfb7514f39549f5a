//! Policies, compiled, and what they say of a write (apiserver `plugin/policy/validating/validator.go`, v0.36).

use drover_structural::cel::{Budget, EvalError, Members, Program, Scope, Value as Cel};
use serde_json::Value;

use super::request::Seen;

/// What one policy may cost under one binding, and its conditions by themselves.
const BUDGET: u64 = 10_000_000;
const CONDITIONS_BUDGET: u64 = 2_500_000;
/// Longer messages are not shown.
const MAX_MESSAGE: usize = 5 * 1024;
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
struct Expression {
    text: String,
    program: Result<Program, String>,
}

impl Expression {
    fn of(value: &Value) -> Option<Self> {
        let text = value.as_str().filter(|text| !text.trim().is_empty())?;
        Some(Self {
            text: text.to_owned(),
            program: Program::parse(text, &VARIABLES).map_err(|error| error.to_string()),
        })
    }

    /// Its value, or what is told of why there is none.
    fn value<'a>(&'a self, scope: &Scope<'a, '_>, budget: &mut Budget) -> Result<Cel<'a>, Trouble> {
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

enum Trouble {
    Failed(String),
    Exhausted,
}

impl Trouble {
    fn told(self) -> String {
        match self {
            Self::Failed(problem) => problem,
            Self::Exhausted => EXHAUSTED.to_owned(),
        }
    }
}

#[derive(Debug)]
struct Validation {
    expression: Expression,
    message: String,
    message_expression: Option<Expression>,
    reason: Option<String>,
}

/// What a policy has against a write.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) message: String,
    pub(super) reason: Option<String>,
    /// It is a refusal whatever the binding does with others.
    pub(super) always: bool,
}

/// A policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) constraints: Value,
    pub(super) param_kind: Value,
    /// What goes wrong refuses the write.
    strict: bool,
    conditions: Vec<Expression>,
    variables: Vec<(String, Expression)>,
    validations: Vec<Validation>,
    annotations: Vec<Expression>,
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

fn list<'v>(spec: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> + use<'v> {
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
            validations: list(spec, "validations")
                .filter_map(|validation| {
                    let text = |member: &str| validation[member].as_str().map(str::to_owned);
                    Some(Validation {
                        expression: Expression::of(&validation["expression"])?,
                        message: text("message").unwrap_or_default().trim().to_owned(),
                        message_expression: Expression::of(&validation["messageExpression"]),
                        reason: text("reason"),
                    })
                })
                .collect(),
            annotations: list(spec, "auditAnnotations")
                .filter_map(|annotation| Expression::of(&annotation["valueExpression"]))
                .collect(),
        }
    }

    /// The decision of a policy that cannot be asked, if that counts.
    pub(super) fn failed(&self, message: String) -> Option<Decision> {
        self.strict.then_some(Decision {
            message,
            reason: None,
            always: true,
        })
    }

    fn trouble(&self, trouble: Trouble) -> Option<Decision> {
        self.strict.then(|| Decision {
            message: trouble.told(),
            reason: None,
            always: false,
        })
    }

    /// What the policy has against a write, in the order of its validations.
    pub(super) fn decide<'a>(&'a self, seen: &'a Seen, authorizer: &Cel<'a>) -> Vec<Decision> {
        match self.concerned(seen, authorizer) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(trouble) => return self.trouble(trouble).into_iter().collect(),
        }
        let variables = Members::default();
        let scope = scope(seen, &seen.namespace, authorizer).with("variables", &variables);
        let mut budget = Budget::new(BUDGET);
        for (name, expression) in &self.variables {
            if let Ok(program) = &expression.program {
                variables.define(name, program, &scope, &mut budget);
            }
        }
        let mut decisions = Vec::new();
        for validation in &self.validations {
            match validation.expression.value(&scope, &mut budget) {
                Ok(Cel::Bool(true)) => {}
                Ok(_) => decisions.push(Decision {
                    message: validation.told(&scope, &mut budget),
                    reason: validation.reason.clone(),
                    always: false,
                }),
                // Nothing that was found out before counts then.
                Err(Trouble::Exhausted) => {
                    return self.trouble(Trouble::Exhausted).into_iter().collect();
                }
                Err(trouble) => decisions.extend(self.trouble(trouble)),
            }
        }
        decisions.extend(self.audit(&scope));
        decisions
    }

    /// There is no audit log here, but what goes wrong with annotations refuses a write too.
    fn audit<'a>(&'a self, scope: &Scope<'a, '_>) -> Vec<Decision> {
        let mut budget = Budget::new(BUDGET);
        let problems = self.annotations.iter().filter_map(|annotation| {
            let message = match annotation.value(scope, &mut budget) {
                Ok(Cel::Text(_) | Cel::Null) => return None,
                Ok(other) => format!(
                    "valueExpression '{}' resulted in unsupported return type: {}. Return type must be either string or null.",
                    annotation.text,
                    other.type_name()
                ),
                Err(trouble) => trouble.told(),
            };
            self.failed(message)
        });
        problems.collect()
    }

    /// Whether all conditions hold; one that does not outweighs others that fail.
    fn concerned<'a>(&'a self, seen: &'a Seen, authorizer: &Cel<'a>) -> Result<bool, Trouble> {
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

impl Validation {
    fn told<'a>(&'a self, scope: &Scope<'a, '_>, budget: &mut Budget) -> String {
        if let Some(expression) = &self.message_expression
            && let Ok(Cel::Text(text)) = expression.value(scope, budget)
        {
            let text = text.trim();
            if !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n') {
                return text.to_owned();
            }
        }
        if self.message.is_empty() {
            format!("failed expression: {}", self.expression.text.trim())
        } else {
            self.message.clone()
        }
    }
}

fn scope<'a, 's>(seen: &'a Seen, namespace: &'a Value, authorizer: &Cel<'a>) -> Scope<'a, 's> {
    Scope::new(vec![
        ("object", Cel::of(&seen.object, None)),
        ("oldObject", Cel::of(&seen.old, None)),
        ("request", Cel::of(&seen.request, None)),
        ("params", Cel::of(&seen.params, None)),
        ("namespaceObject", Cel::of(namespace, None)),
        ("authorizer", authorizer.clone()),
    ])
}
