//! What somebody holds in a cluster or project, as far as it decides what they may give and do there.
//!
//! Asks the index of rights. What ClusterRoles allow that role templates stand for is taken from those of the hub, as
//! the peer does (reference rbac-and-projects section 8).
//!
//! Invariant: nobody gives what they do not hold.

use std::collections::{BTreeMap, BTreeSet};

use drover_auth::Attributes;
use drover_auth::access::Question;
use drover_auth::web::ApiError;
use drover_types::management::PolicyRule;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use serde_json::{Value, json};

use super::{object_of, text_at};
use crate::call::Call;
use crate::mapping;

/// Rules of ClusterRoles by their names.
pub(super) type External = BTreeMap<String, Vec<PolicyRule>>;

/// A place that roles are bound in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    pub(super) cluster: &'a str,
    /// One project of it, or the whole cluster.
    pub(super) project: Option<&'a str>,
}

/// The rules of those ClusterRoles that role templates stand for, as `client`'s cluster has them.
pub(super) async fn external(call: &Call<'_>, client: kube::Client) -> Result<External, ApiError> {
    let roles: Api<ClusterRole> = Api::all(client);
    let mut found = External::new();
    for template in call
        .store()
        .list(object_of(call, "roleTemplate")?, None)
        .await?
        .iter()
        .filter(|template| is_external(template))
        .map(mapping::name)
    {
        if let Some(role) = roles.get_opt(template).await? {
            found.insert(template.to_owned(), rules(&role)?);
        }
    }
    Ok(found)
}

/// Kubernetes' rules are written as ours are.
fn rules(role: &ClusterRole) -> Result<Vec<PolicyRule>, ApiError> {
    let name = role.metadata.name.as_deref().unwrap_or_default();
    serde_json::to_value(role.rules.as_deref().unwrap_or_default())
        .and_then(serde_json::from_value)
        .map_err(|error| unreadable(&format!("ClusterRole {name}"), &error))
}

fn unreadable(whose: &str, error: &serde_json::Error) -> ApiError {
    ApiError::server_error(format!("the rules of the {whose} cannot be read: {error}"))
}

fn is_external(template: &Value) -> bool {
    template.get("external") == Some(&json!(true))
}

/// Whether the caller holds all that a role template with what it inherits gives in this place.
pub(super) async fn holds_template(
    call: &Call<'_>,
    place: Scope<'_>,
    template: &str,
) -> Result<bool, ApiError> {
    // Whoever is given a role becomes a member, so that its giver must be one.
    let sees = match place.project {
        Some(project) => {
            let projects = object_of(call, "project")?;
            call.may("get", projects, Some(place.cluster), Some(project))
        }
        None => call.may(
            "get",
            object_of(call, "cluster")?,
            None,
            Some(place.cluster),
        ),
    };
    if !sees {
        return Ok(false);
    }
    let all = call
        .store()
        .list(object_of(call, "roleTemplate")?, None)
        .await?;
    let external = external(call, call.store().client().clone()).await?;
    let mut open = vec![template.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(role) = all.iter().find(|role| mapping::name(role) == name) else {
            return Ok(false);
        };
        let inherited = role.get("roleTemplateNames").and_then(Value::as_array);
        let inherited = inherited.into_iter().flatten().filter_map(Value::as_str);
        open.extend(inherited.map(str::to_owned));
        let Some(given) = given(role, &external)? else {
            return Ok(false);
        };
        if !given.iter().all(|rule| holds(call, place, rule, &external)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rules of one template; none if they are not known.
fn given(role: &Value, external: &External) -> Result<Option<Vec<PolicyRule>>, ApiError> {
    let said = |field: &str| {
        let rules = role.get(field).filter(|rules| !rules.is_null()).cloned();
        let rules = rules.map(serde_json::from_value::<Vec<PolicyRule>>);
        rules
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(|error| {
                unreadable(&format!("role {}", text_at(role, "/metadata/name")), &error)
            })
    };
    if !is_external(role) {
        return said("rules").map(Some);
    }
    let own = said("externalRules")?;
    if own.is_empty() {
        return Ok(external.get(mapping::name(role)).cloned());
    }
    Ok(Some(own))
}

/// Whether the caller may do all that a rule allows in this place. Rules for URLs are held by owners only.
fn holds(call: &Call<'_>, place: Scope<'_>, rule: &PolicyRule, external: &External) -> bool {
    let names: Vec<Option<&str>> = match rule.resource_names.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    rule.non_resource_urls.is_empty()
        && rule.api_groups.iter().all(|group| {
            rule.resources.iter().all(|resource| {
                rule.verbs.iter().all(|verb| {
                    names
                        .iter()
                        .all(|name| may(call, place, (verb, group, resource, *name), external))
                })
            })
        })
}

fn may(
    call: &Call<'_>,
    place: Scope<'_>,
    (verb, group, resource, name): (&str, &str, &str, Option<&str>),
    external: &External,
) -> bool {
    let question = Question {
        cluster: Some(place.cluster),
        asked: Attributes {
            verb,
            group,
            resource,
            // Any namespace of the project stands for all of them.
            namespace: place.project,
            name,
        },
        project: place.project,
        external,
    };
    call.identity.is_some_and(|identity| {
        let explained = call.shared.rights.explain(identity, &question);
        explained.grant.is_some()
    })
}

/// Whether the caller manages the namespaces of a project: may change those it has, or could have.
pub(super) async fn manages_namespaces(
    call: &Call<'_>,
    cluster: &str,
    project: &str,
) -> Result<bool, ApiError> {
    let place = Scope {
        cluster,
        project: Some(project),
    };
    let update = ("update", "", "namespaces", None);
    // Mostly its own role says so, and nothing else need be read.
    if may(call, place, update, &External::new()) {
        return Ok(true);
    }
    let external = external(call, call.store().client().clone()).await?;
    Ok(may(call, place, update, &external))
}
