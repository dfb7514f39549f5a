//! The built-in templates of pod security: one that allows everything, one that allows little.

use drover_types::management::PodSecurityAdmissionConfigurationTemplate as Template;
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use super::{BootstrapError, create, failed, replace};

/// Namespaces of system parts, which the strict template leaves alone.
const EXEMPT: [&str; 23] = [
    "cattle-csp-adapter-system",
    "cattle-epinio-system",
    "cattle-externalip-system",
    "cattle-fleet-local-system",
    "cattle-fleet-system",
    "cattle-gatekeeper-system",
    "cattle-istio-system",
    "cattle-logging-system",
    "cattle-monitoring-system",
    "cattle-neuvector-system",
    "cattle-sriov-system",
    "cattle-system",
    "cattle-turtles-system",
    "cattle-ui-plugin-system",
    "cattle-windows-gmsa-system",
    "cis-operator-system",
    "compliance-operator-system",
    "ingress-nginx",
    "istio-system",
    "kube-system",
    "longhorn-system",
    "rancher-alerting-drivers",
    "tigera-operator",
];

fn template(name: &str, description: &str, level: &str, exempt: &[&str]) -> Template {
    let mut template = Template::named(name);
    description.clone_into(&mut template.description);
    let modes = ["enforce", "audit", "warn"];
    let mut defaults = Map::new();
    for mode in modes {
        defaults.insert(mode.to_owned(), json!(level));
        defaults.insert(format!("{mode}-version"), json!("latest"));
    }
    template
        .configuration
        .insert("defaults".to_owned(), Value::Object(defaults));
    template
        .configuration
        .insert("exemptions".to_owned(), json!({ "namespaces": exempt }));
    template
}

fn builtin() -> [Template; 2] {
    [
        template(
            "rancher-privileged",
            "Built in: pods may do everything.",
            "privileged",
            &[],
        ),
        template(
            "rancher-restricted",
            "Built in: pods are held to what is thought safe; namespaces of system parts are exempt.",
            "restricted",
            &EXEMPT,
        ),
    ]
}

/// What people changed stays; exemptions that system parts need come back.
fn merged(current: &Template, wanted: &Template) -> Template {
    let namespaces = |template: &Template| -> Vec<String> {
        let list = template
            .configuration
            .get("exemptions")
            .and_then(|exemptions| exemptions.get("namespaces"))
            .and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let mut all = namespaces(current);
    let lost: Vec<String> = namespaces(wanted)
        .into_iter()
        .filter(|name| !all.contains(name))
        .collect();
    if lost.is_empty() {
        return current.clone();
    }
    all.extend(lost);
    all.sort_unstable();
    let mut merged = current.clone();
    let mut exemptions = match merged.configuration.remove("exemptions") {
        Some(Value::Object(exemptions)) => exemptions,
        _ => Map::new(),
    };
    exemptions.insert("namespaces".to_owned(), json!(all));
    merged
        .configuration
        .insert("exemptions".to_owned(), Value::Object(exemptions));
    merged
}

/// Makes the built-in templates, or gives them back what they lost.
pub(super) async fn ensure(client: &Client) -> Result<(), BootstrapError> {
    let api: Api<Template> = Api::all(client.clone());
    for wanted in builtin() {
        let name = wanted.name_any();
        let what = format!("the template {name}");
        match api.get_opt(&name).await.map_err(failed(what.clone()))? {
            None => drop(create(&api, &wanted, &what).await?),
            Some(current) => replace(&api, &current, &merged(&current, &wanted), &what).await?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_stay_and_what_system_parts_need_comes_back() {
        let [open, strict] = builtin();
        assert_eq!(merged(&open, &open), open);
        assert_eq!(open.configuration["defaults"]["enforce"], "privileged");
        let mut changed = strict.clone();
        changed.description = "ours".to_owned();
        changed.configuration["defaults"]["warn"] = json!("baseline");
        changed.configuration["exemptions"] =
            json!({"namespaces": ["zoo", "kube-system"], "usernames": ["u"]});
        let merged = merged(&changed, &strict);
        assert_eq!(merged.description, "ours");
        assert_eq!(merged.configuration["defaults"]["warn"], "baseline");
        let exemptions = &merged.configuration["exemptions"];
        assert_eq!(exemptions["usernames"], json!(["u"]));
        assert_eq!(exemptions["namespaces"].as_array().map(Vec::len), Some(24));
    }
}
