//! Who may set what gives a namespace rights: its project, and how strictly its pods are judged.
//!
//! Owns one ValidatingAdmissionPolicy in each managed cluster and in the hub's own, by which the cluster's own API server refuses what `/v3`
//! refuses, whoever asks and by whichever way (reference rbac-and-projects 5, 7). A namespace is put into a project by
//! those who manage the project's namespaces; labels of pod security are set by those who may `updatepsa` in the project.
//! The policy knows role templates by their virtual groups, so that it grows with roles alone; whoever the cluster's own
//! RBAC lets do the same to `projects` may too.
//!
//! Invariant: a namespace can always be taken out of its project by those who may change it.

use std::collections::BTreeSet;

use drover_types::names::{
    self, CREATOR_LABEL, CREATOR_NORMAN, POD_SECURITY_PREFIX, PROJECT_ANNOTATION,
};
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, NamedRuleWithOperations, ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding, ValidatingAdmissionPolicyBindingSpec,
    ValidatingAdmissionPolicySpec, Validation, Variable,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, Client};
use serde::Serialize;
use serde_json::{Value, json};

use crate::downstream_roles::{ACCESS_LABEL, Flats};
use crate::plan::{Action, Plan, Site};

/// Name of the policy and of its binding.
pub(crate) const NAME: &str = "drover-namespaces";

/// Roles by what they let do in a project; the first are those of projects, the second those of the whole cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Roles {
    in_projects: BTreeSet<String>,
    everywhere: BTreeSet<String>,
}

impl Roles {
    /// Every role template that gives `verb` on a resource.
    fn giving(all: &Flats, verb: &str, group: &str, resource: &str) -> Self {
        let mut roles = Self::default();
        for (name, flat) in all.giving((verb, group, resource)) {
            if flat.is_of_projects() {
                roles.in_projects.insert(name.to_owned());
            } else {
                roles.everywhere.insert(names::cluster_group(name));
            }
        }
        roles
    }

    /// An expression: whether the caller holds one of these roles in the project that `project` is an expression of.
    fn held_in(&self, project: &str) -> String {
        let everywhere = list(&self.everywhere);
        let in_projects = list(&self.in_projects);
        let group = names::project_group("", "");
        let (before, after) = group.split_at(group.len() - 1);
        format!(
            "(has(request.userInfo.groups) && request.userInfo.groups.exists(g, g in {everywhere} || \
             {project} != '' && {in_projects}.exists(r, g == '{before}' + {project} + '{after}' + r)))"
        )
    }
}

/// A list of texts in CEL; names of roles are names of objects, and need no escapes.
fn list(texts: &BTreeSet<String>) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{text}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// An expression: whether the cluster's own RBAC lets the caller do this to a project.
fn allowed(verb: &str, project: &str) -> String {
    format!(
        "authorizer.group('management.cattle.io').resource('projects').name({project}).check('{verb}').allowed()"
    )
}

/// The policy for a cluster.
fn policy(cluster: &str, all: &Flats) -> ValidatingAdmissionPolicy {
    let place = format!("{cluster}:");
    let value = |of: &str, part: &str| {
        format!(
            "{of} != null && has({of}.metadata.{part}) && '{PROJECT_ANNOTATION}' in {of}.metadata.{part} ? \
             {of}.metadata.{part}['{PROJECT_ANNOTATION}'] : ''"
        )
    };
    let labels = |of: &str| {
        format!("{of} != null && has({of}.metadata.labels) ? {of}.metadata.labels : {{}}")
    };
    let named = |of: &str| {
        format!(
            "{of}.startsWith('{place}') ? {of}.substring({}) : ''",
            place.len()
        )
    };
    let variables = [
        ("annotation", value("object", "annotations")),
        ("annotationBefore", value("oldObject", "annotations")),
        ("label", value("object", "labels")),
        ("labelBefore", value("oldObject", "labels")),
        ("labels", labels("object")),
        ("labelsBefore", labels("oldObject")),
        ("project", named("variables.annotation")),
        (
            "targets",
            "(variables.annotation != variables.annotationBefore && variables.project != '' ? [variables.project] : []) \
             + (variables.label != variables.labelBefore && variables.label != '' ? [variables.label] : [])"
                .to_owned(),
        ),
    ];
    let managers = Roles::giving(all, "create", "", "namespaces");
    let strict = Roles::giving(all, "updatepsa", "management.cattle.io", "projects");
    let validation = |expression: String, message: &str| Validation {
        expression,
        message: Some(message.to_owned()),
        reason: Some("Forbidden".to_owned()),
        ..Validation::default()
    };
    let (by_group, by_rbac) = (managers.held_in("p"), allowed("manage-namespaces", "p"));
    let validations = vec![
        validation(
            format!("variables.targets.all(p, {by_group} || {by_rbac})"),
            "a namespace is put into a project by those who manage the project's namespaces",
        ),
        validation(
            format!(
                "variables.labels.all(k, !k.startsWith('{POD_SECURITY_PREFIX}') || k in variables.labelsBefore && \
                 variables.labelsBefore[k] == variables.labels[k]) && variables.labelsBefore.all(k, \
                 !k.startsWith('{POD_SECURITY_PREFIX}') || k in variables.labels) || {} || {}",
                strict.held_in("variables.project"),
                allowed("updatepsa", "variables.project"),
            ),
            "labels of pod security are set by those who may update them in the namespace's project (updatepsa)",
        ),
    ];
    let of = |texts: &[&str]| Some(texts.iter().map(|&text| text.to_owned()).collect());
    ValidatingAdmissionPolicy {
        metadata: meta(),
        spec: Some(ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".to_owned()),
            match_constraints: Some(MatchResources {
                resource_rules: Some(vec![NamedRuleWithOperations {
                    api_groups: of(&[""]),
                    api_versions: of(&["v1"]),
                    operations: of(&["CREATE", "UPDATE"]),
                    resources: of(&["namespaces", "namespaces/status", "namespaces/finalize"]),
                    ..NamedRuleWithOperations::default()
                }]),
                ..MatchResources::default()
            }),
            validations: Some(validations),
            variables: Some(
                variables
                    .into_iter()
                    .map(|(name, expression)| Variable {
                        name: name.to_owned(),
                        expression,
                    })
                    .collect(),
            ),
            ..ValidatingAdmissionPolicySpec::default()
        }),
        ..ValidatingAdmissionPolicy::default()
    }
}

fn binding() -> ValidatingAdmissionPolicyBinding {
    ValidatingAdmissionPolicyBinding {
        metadata: meta(),
        spec: ValidatingAdmissionPolicyBindingSpec {
            policy_name: NAME.to_owned(),
            validation_actions: vec!["Deny".to_owned()],
            ..ValidatingAdmissionPolicyBindingSpec::default()
        },
    }
}

fn meta() -> ObjectMeta {
    let labels = [(CREATOR_LABEL, CREATOR_NORMAN), (ACCESS_LABEL, "true")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    ObjectMeta {
        name: Some(NAME.to_owned()),
        labels: Some(labels.into()),
        ..ObjectMeta::default()
    }
}

/// What is there.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    policy: Option<ValidatingAdmissionPolicy>,
    binding: Option<ValidatingAdmissionPolicyBinding>,
}

impl Observed {
    /// Reads a cluster; one that knows no such policies has none.
    pub(crate) async fn read(client: &Client) -> Result<Self, kube::Error> {
        Ok(Self {
            policy: Api::all(client.clone()).get_opt(NAME).await?,
            binding: Api::all(client.clone()).get_opt(NAME).await?,
        })
    }
}

/// Decides about one cluster's policy.
#[must_use]
pub(crate) fn reconcile(cluster: &str, templates: &Flats, observed: &Observed) -> Plan {
    let mut plan = Plan::default();
    let policy = policy(cluster, templates);
    if !is_kept(observed.policy.as_ref(), &policy) {
        plan.actions.push(Action::apply(Site::Cluster, &policy));
    }
    let binding = binding();
    if !is_kept(observed.binding.as_ref(), &binding) {
        plan.actions.push(Action::apply(Site::Cluster, &binding));
    }
    plan
}

/// Whether all that is wanted is there; a server adds defaults.
fn is_kept<K: Serialize>(found: Option<&K>, wanted: &K) -> bool {
    found.is_some_and(|found| holds(&json!(found), &json!(wanted)))
}

fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted))),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| holds(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use drover_types::management::RoleTemplate;
    use drover_types::names::LOCAL_CLUSTER;

    use super::*;

    fn template(name: &str, context: &str, rules: &Value, inherits: &[&str]) -> RoleTemplate {
        serde_json::from_value(json!({
            "metadata": {"name": name}, "context": context, "rules": rules, "roleTemplateNames": inherits,
        }))
        .unwrap()
    }

    fn templates() -> Vec<RoleTemplate> {
        let rule = |group: &str, resource: &str, verb: &str| json!([{"apiGroups": [group], "resources": [resource], "verbs": [verb]}]);
        vec![
            template("makes", "project", &rule("", "namespaces", "create"), &[]),
            template("inherits", "project", &json!([]), &["makes"]),
            template("reads", "project", &rule("", "namespaces", "get"), &[]),
            template("all", "cluster", &rule("*", "*", "*"), &[]),
            template(
                "psa",
                "project",
                &rule("management.cattle.io", "projects", "updatepsa"),
                &[],
            ),
        ]
    }

    #[test]
    fn roles_are_known_by_what_they_give() {
        let all = Flats::of(&templates());
        let managers = Roles::giving(&all, "create", "", "namespaces");
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(managers.in_projects, texts(&["inherits", "makes"]));
        assert_eq!(managers.everywhere, texts(&["drover:cluster:all"]));
        let strict = Roles::giving(&all, "updatepsa", "management.cattle.io", "projects");
        assert_eq!(strict.in_projects, texts(&["psa"]));
        let held = managers.held_in("p");
        assert!(
            held.contains("g == 'drover:project:' + p + ':' + r"),
            "{held}"
        );
    }

    #[test]
    fn what_is_missing_or_edited_is_put_back_and_defaults_are_left_alone() {
        let known = templates();
        let templates = Flats::of(&known);
        let on_hub = reconcile(LOCAL_CLUSTER, &templates, &Observed::default());
        assert_eq!(
            on_hub.actions.len(),
            2,
            "the hub's own cluster is guarded too"
        );
        let plan = reconcile("c-1", &templates, &Observed::default());
        assert_eq!(plan.actions.len(), 2);
        let mut observed = Observed {
            policy: Some(policy("c-1", &templates)),
            binding: Some(binding()),
        };
        // As a server gives it back.
        let spec = observed.policy.as_mut().unwrap().spec.as_mut().unwrap();
        let constraints = spec.match_constraints.as_mut().unwrap();
        constraints.match_policy = Some("Equivalent".to_owned());
        constraints.namespace_selector = Some(Default::default());
        assert!(reconcile("c-1", &templates, &observed).is_empty());

        let mut edited = observed.clone();
        let spec = edited.policy.as_mut().unwrap().spec.as_mut().unwrap();
        spec.validations.as_mut().unwrap().pop();
        assert_eq!(reconcile("c-1", &templates, &edited).actions.len(), 1);
        let mut edited = observed.clone();
        let spec = &mut edited.binding.as_mut().unwrap().spec;
        spec.validation_actions = vec!["Audit".to_owned()];
        assert_eq!(reconcile("c-1", &templates, &edited).actions.len(), 1);
        // Another role that makes namespaces changes the policy, a binding to it would not.
        let fewer = Flats::of(&known[1..]);
        assert_eq!(reconcile("c-1", &fewer, &observed).actions.len(), 1);
    }
}
