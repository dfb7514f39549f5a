//! How the agent of a cluster is to run: what its Deployment could not hold is refused when it is said.

use drover_auth::web::ApiError;
use drover_types::quantity::Quantity;
use serde_json::{Map, Value};

const CUSTOMIZATIONS: [&str; 2] = [
    "clusterAgentDeploymentCustomization",
    "fleetAgentDeploymentCustomization",
];
const OPERATORS: [&str; 5] = ["", "Exists", "Equal", "Lt", "Gt"];
const EFFECTS: [&str; 4] = ["", "NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Checks the agent's variables, resources and tolerations.
///
/// # Errors
/// 422 naming the field.
pub(super) fn check(fields: &Map<String, Value>) -> Result<(), ApiError> {
    for name in CUSTOMIZATIONS {
        let customization = &fields.get(name).unwrap_or(&Value::Null);
        resources(name, &customization["overrideResourceRequirements"])?;
        tolerations(name, &customization["appendTolerations"])?;
    }
    variables(fields.get("agentEnvVars").unwrap_or(&Value::Null))
}

fn resources(name: &str, resources: &Value) -> Result<(), ApiError> {
    for part in ["limits", "requests"] {
        for (resource, amount) in resources[part].as_object().into_iter().flatten() {
            let fits = amount
                .as_str()
                .is_none_or(|text| Quantity::parse(text).is_some());
            if !fits {
                let field = format!("{name}.overrideResourceRequirements.{part}.{resource}");
                return Err(wrong(field, "it must be a quantity, such as 500m or 256Mi"));
            }
        }
    }
    Ok(())
}

fn tolerations(name: &str, tolerations: &Value) -> Result<(), ApiError> {
    for (index, toleration) in tolerations.as_array().into_iter().flatten().enumerate() {
        for (part, allowed) in [("operator", &OPERATORS[..]), ("effect", &EFFECTS[..])] {
            if !allowed.contains(&toleration[part].as_str().unwrap_or_default()) {
                let field = format!("{name}.appendTolerations[{index}].{part}");
                return Err(wrong(
                    field,
                    &format!("it must be one of {}", allowed[1..].join(", ")),
                ));
            }
        }
    }
    Ok(())
}

/// Names as API servers take them (apimachinery `util/validation.IsEnvVarName`, relaxed): printable ASCII but `=`.
fn variables(variables: &Value) -> Result<(), ApiError> {
    for (index, variable) in variables.as_array().into_iter().flatten().enumerate() {
        let name = variable["name"].as_str().unwrap_or_default();
        let fits = !name.is_empty()
            && name
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=');
        if !fits {
            let field = format!("agentEnvVars[{index}].name");
            return Err(wrong(field, "it must be the name of a variable"));
        }
    }
    Ok(())
}

fn wrong(field: String, message: &str) -> ApiError {
    ApiError::invalid("InvalidFormat", message).with_field(field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_deployment_could_not_hold_is_refused_by_its_field() {
        let check = |fields: Value, expected: Option<&str>| {
            let Value::Object(map) = &fields else {
                panic!("{fields}")
            };
            let refused = super::check(map).err();
            let field = refused
                .as_ref()
                .and_then(|error| error.field_name.as_deref());
            assert_eq!(field, expected, "{fields}");
        };
        let of_agent = |part: Value| json!({"clusterAgentDeploymentCustomization": part});
        check(json!({}), None);
        check(
            json!({"agentEnvVars": null, "clusterAgentDeploymentCustomization": null}),
            None,
        );
        let good = json!({
            "overrideResourceRequirements": {"limits": {"cpu": "500m", "memory": "1Gi"}, "requests": null},
            "appendTolerations": [{"key": "a", "operator": "Exists"}, {"key": "b", "effect": "NoSchedule", "value": "c"}],
        });
        check(of_agent(good), None);
        let bad = json!({"overrideResourceRequirements": {"limits": {"cpu": "lots"}}});
        check(
            of_agent(bad),
            Some("clusterAgentDeploymentCustomization.overrideResourceRequirements.limits.cpu"),
        );
        let bad = json!({"appendTolerations": [{"operator": "Exists"}, {"operator": "Nope"}]});
        check(
            of_agent(bad),
            Some("clusterAgentDeploymentCustomization.appendTolerations[1].operator"),
        );
        check(
            json!({"agentEnvVars": [{"name": "HTTP_PROXY", "value": "x"}]}),
            None,
        );
        for name in ["", "A=B", "A\nB", "ä"] {
            check(
                json!({"agentEnvVars": [{"name": name}]}),
                Some("agentEnvVars[0].name"),
            );
        }
    }
}
