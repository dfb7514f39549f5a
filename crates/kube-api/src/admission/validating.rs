//! Validating policies: what they have against a write (apiserver `plugin/policy/validating/validator.go`, v0.36).

use drover_structural::cel::{Budget, Members, Scope, Value as Cel};
use serde_json::Value;

use super::policy::{BUDGET, Expression, Policy, Trouble, list, scope};
use super::request::Seen;

/// Longer messages are not shown.
const MAX_MESSAGE: usize = 5 * 1024;

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

/// A validating policy.
#[derive(Debug)]
pub(super) struct Validating {
    pub(super) policy: Policy,
    validations: Vec<Validation>,
    annotations: Vec<Expression>,
}

impl Validating {
    pub(super) fn compile(object: &Value) -> Self {
        let spec = &object["spec"];
        Self {
            policy: Policy::compile(object),
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
        self.policy.strict.then_some(Decision {
            message,
            reason: None,
            always: true,
        })
    }

    fn trouble(&self, trouble: Trouble) -> Option<Decision> {
        self.policy.strict.then(|| Decision {
            message: trouble.told(),
            reason: None,
            always: false,
        })
    }

    /// What the policy has against a write, in the order of its validations.
    pub(super) fn decide<'a>(&'a self, seen: &'a Seen, authorizer: &Cel<'a>) -> Vec<Decision> {
        match self.policy.concerned(seen, authorizer) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(trouble) => return self.trouble(trouble).into_iter().collect(),
        }
        let variables = Members::default();
        let scope = scope(seen, &seen.namespace, authorizer).with("variables", &variables);
        let mut budget = Budget::new(BUDGET);
        self.policy.define(&variables, &scope, &mut budget);
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
