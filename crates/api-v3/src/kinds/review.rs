//! Why somebody may do something, and who may, as the index of rights says.
//!
//! Owns what the index needs to know of a cluster: the project of a namespace. The rules of ClusterRoles that external
//! role templates stand for come from `giving`.
//!
//! Invariant: about others only those learn who own what is asked about.

use drover_auth::access::{Grant, Holder, HolderKind, Question};
use drover_auth::web::ApiError;
use drover_auth::{Attributes, Identity};
use serde_json::{Map, Value, json};

use super::giving::{self, External};
use super::{namespace, object_of, text};
use crate::call::{Call, Item, not_found, split_id};
use crate::schema::{Layout, Object, Type};
use crate::store::Store;

/// What a cluster says about a question.
#[derive(Default)]
struct Facts {
    project: Option<String>,
    external: External,
}

/// Answers one question about one person: the caller, or another.
pub(crate) async fn explain(
    call: &Call<'_>,
    kind: &Type,
    fields: &Map<String, Value>,
) -> Result<Item, ApiError> {
    let caller = call.caller()?;
    let other = text(fields, "userId");
    let identity = if other.is_empty() || other == caller.user.as_str() {
        caller.clone()
    } else {
        may_ask(call, fields)?;
        somebody(call, other).await?
    };
    let facts = facts(call, fields).await?;
    let explained = call
        .shared
        .rights
        .explain(&identity, &question(fields, &facts));
    let mut item = Map::new();
    item.insert("type".to_owned(), json!(kind.id));
    item.insert("baseType".to_owned(), json!(kind.id));
    for (name, value) in fields {
        item.insert(name.clone(), value.clone());
    }
    item.insert("userId".to_owned(), json!(identity.user.as_str()));
    item.insert("allowed".to_owned(), json!(explained.grant.is_some()));
    item.insert("groups".to_owned(), json!(explained.groups));
    item.insert("missing".to_owned(), json!(explained.missing));
    item.insert("links".to_owned(), json!({}));
    if let Some(grant) = &explained.grant {
        item.extend(chain(grant));
    }
    Ok(item)
}

/// Everybody who may do what is asked.
pub(super) async fn who_can(
    call: &Call<'_>,
    fields: &Map<String, Value>,
) -> Result<Value, ApiError> {
    may_ask(call, fields)?;
    let facts = facts(call, fields).await?;
    let holders = call.shared.rights.who_can(&question(fields, &facts));
    let data: Vec<Value> = holders.iter().map(holder).collect();
    Ok(json!({"type": "accessHolders", "baseType": "accessHolders", "data": data}))
}

fn holder(holder: &Holder) -> Value {
    let kind = match holder.kind {
        HolderKind::User => "user",
        HolderKind::Principal => "principal",
        HolderKind::Group => "group",
    };
    let mut shown = chain(&holder.grant);
    shown.insert("kind".to_owned(), json!(kind));
    shown.insert("name".to_owned(), json!(holder.name));
    Value::Object(shown)
}

fn chain(grant: &Grant) -> Item {
    let Grant {
        binding,
        roles,
        rule,
    } = grant;
    let mut shown = Map::new();
    shown.insert("binding".to_owned(), json!(binding));
    shown.insert("roles".to_owned(), json!(roles));
    shown.insert("rule".to_owned(), json!(rule));
    shown
}

/// About others may ask who may see all bindings, or owns the cluster that is asked about.
fn may_ask(call: &Call<'_>, fields: &Map<String, Value>) -> Result<(), ApiError> {
    let cluster = text(fields, "clusterId");
    let owns =
        !cluster.is_empty() && call.may("own", object_of(call, "cluster")?, None, Some(cluster));
    if owns || call.may_everything() {
        return Ok(());
    }
    Err(ApiError::forbidden(
        "only owners of the cluster, and administrators, learn what others may do",
    ))
}

fn question<'a>(fields: &'a Map<String, Value>, facts: &'a Facts) -> Question<'a> {
    let given = |name: &str| Some(text(fields, name)).filter(|text| !text.is_empty());
    Question {
        cluster: given("clusterId"),
        asked: Attributes {
            verb: text(fields, "verb"),
            group: text(fields, "apiGroup"),
            resource: text(fields, "resource"),
            namespace: given("namespace"),
            name: given("objectName"),
        },
        project: facts.project.as_deref(),
        external: &facts.external,
    }
}

/// A user as its requests would come: with its principals. Groups of providers are known at its next request only.
async fn somebody(call: &Call<'_>, id: &str) -> Result<Identity, ApiError> {
    let object = object_of(call, "user")?;
    let declared = call.registry().get("user");
    if let Some(declared) = declared {
        split_id(declared, object, id)?;
    }
    let user = call.store().find(object, None, id).await?;
    let user = user.ok_or_else(|| not_found(object, id))?;
    let mut identity = Identity::of(id);
    let principals = user.get("principalIds").and_then(Value::as_array);
    for principal in principals.into_iter().flatten().filter_map(Value::as_str) {
        if !identity.principals.iter().any(|known| known == principal) {
            identity.principals.push(principal.to_owned());
        }
    }
    Ok(identity)
}

async fn facts(call: &Call<'_>, fields: &Map<String, Value>) -> Result<Facts, ApiError> {
    const NAMESPACES: Object = Object {
        kind: "Namespace",
        resource: "namespaces",
        namespaced: false,
        layout: Layout::Flat,
    };
    let cluster = text(fields, "clusterId");
    let mut facts = Facts::default();
    if cluster.is_empty() {
        return Ok(facts);
    }
    // Who may not see the cluster learns nothing of it, not even whether it is there.
    call.require("get", object_of(call, "cluster")?, None, Some(cluster))?;
    let client = call.shared.hooks.cluster(cluster).await?;
    let name = text(fields, "namespace");
    if !name.is_empty() {
        let found = Store::of_core(client.clone())
            .find(NAMESPACES, None, name)
            .await?;
        facts.project = found
            .as_ref()
            .and_then(|found| namespace::project(found, cluster))
            .and_then(|project| project.split_once(':'))
            .map(|(_, project)| project.to_owned());
    }
    facts.external = giving::external(call, client).await?;
    Ok(facts)
}
