//! Clusters: names, kubeconfigs, imports.

mod agents;
mod endpoint;
mod workspace;

use drover_auth::web::ApiError;
use drover_ext::kubeconfig::{self, Credential};
use drover_types::management::{Cluster, Node};
use drover_types::names::LOCAL_CLUSTER;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{Outcome, object_of, settings, text, text_at};
use crate::call::{Call, YamlImport, not_found, split_id};
use crate::mapping;
use crate::schema::Type;

/// The peer's name of the field in refusals of a cluster's name (recorded/http/03).
const NAME_FIELD: &str = "Cluster name";

pub(super) fn is_local(object: &Value) -> bool {
    mapping::name(object) == LOCAL_CLUSTER
}

/// The namespace that belongs to the cluster named by `clusterId`.
pub(super) fn namespace(fields: &Map<String, Value>) -> Result<String, ApiError> {
    let id = text(fields, "clusterId");
    let fits = !id.is_empty()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if fits {
        Ok(id.to_owned())
    } else {
        Err(
            ApiError::invalid("InvalidReference", "there is no such cluster")
                .with_field("clusterId"),
        )
    }
}

/// The cluster that a field points at.
///
/// # Errors
/// 404 if it is not there, 409 if it is on its way out.
pub(super) async fn referred(call: &Call<'_>, id: &str) -> Result<Value, ApiError> {
    let object = object_of(call, "cluster")?;
    let found = call
        .store()
        .find(object, None, id)
        .await?
        .ok_or_else(|| not_found(object, id))?;
    if text_at(&found, "/metadata/deletionTimestamp").is_empty() {
        Ok(found)
    } else {
        Err(ApiError::conflict(format!(
            "the cluster {id} is being removed"
        )))
    }
}

pub(super) async fn before_create(
    call: &Call<'_>,
    kind: &Type,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    // Recorded: said of every new cluster, also where nobody asked.
    fields.entry("enableNetworkPolicy").or_insert(json!(false));
    endpoint::check(fields, false)?;
    agents::check(fields)?;
    workspace::check(call, fields, None)?;
    check_name(call, kind, text(fields, "name"), None).await
}

/// Checks what somebody says of a cluster in its `provisioning.cattle.io` object; `workspace` is where a new one goes.
///
/// # Errors
/// 422 naming the field, 403 for a workspace that the caller may not give clusters to.
pub(crate) fn check_specification(
    call: &Call<'_>,
    spec: &Map<String, Value>,
    workspace: Option<&str>,
    is_local: bool,
) -> Result<(), ApiError> {
    endpoint::check(spec, is_local)?;
    agents::check(spec)?;
    workspace.map_or(Ok(()), |name| workspace::check_new(call, name))
}

/// Two requests may have found the same name free at the same time: who sees another one now steps back. Both may, but
/// no name is ever given twice.
pub(super) async fn after_create(
    call: &Call<'_>,
    kind: &Type,
    object: Value,
) -> Result<Value, ApiError> {
    let own = mapping::name(&object);
    match check_name(call, kind, text_at(&object, "/spec/displayName"), Some(own)).await {
        Ok(()) => Ok(object),
        Err(error) => {
            super::take_back(call, kind, &object).await;
            Err(error)
        }
    }
}

pub(super) async fn before_update(
    call: &Call<'_>,
    kind: &Type,
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    // Recorded: a change without the name is refused too.
    check_name(
        call,
        kind,
        text(fields, "name"),
        Some(mapping::name(current)),
    )
    .await?;
    endpoint::check(fields, is_local(current))?;
    agents::check(fields)?;
    workspace::check(call, fields, Some(current))?;
    if is_local(current) && text(fields, "name") != text_at(current, "/spec/displayName") {
        // The name of the cluster the server runs on is free, but it keeps being found as `local` by its id.
        tracing::info!(cluster = LOCAL_CLUSTER, "renaming the local cluster");
    }
    Ok(())
}

async fn check_name(
    call: &Call<'_>,
    kind: &Type,
    name: &str,
    own: Option<&str>,
) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(ApiError::invalid("MissingRequired", "").with_field(NAME_FIELD));
    }
    let Some(object) = kind.object else {
        return Ok(());
    };
    // All clusters count, also those the caller may not see: names are shown to everybody who sees any.
    let taken = call.store().list(object, None).await?.iter().any(|other| {
        own != Some(mapping::name(other))
            && text_at(other, "/spec/displayName").eq_ignore_ascii_case(name)
    });
    if taken {
        Err(ApiError::invalid("NotUnique", "").with_field(NAME_FIELD))
    } else {
        Ok(())
    }
}

pub(super) fn offers_action(call: &Call<'_>, _cluster: &Value, action: &str) -> bool {
    call.identity.is_some() && matches!(action, "generateKubeconfig" | "importYaml")
}

pub(super) async fn act(
    call: &Call<'_>,
    cluster: &Value,
    action: &str,
    input: &Map<String, Value>,
) -> Result<Outcome, ApiError> {
    match action {
        "generateKubeconfig" => kubeconfig(call, cluster).await,
        "importYaml" => {
            let yaml = text(input, "yaml");
            if yaml.is_empty() {
                return Err(ApiError::invalid("MissingRequired", "").with_field("yaml"));
            }
            let import = YamlImport {
                yaml: yaml.to_owned(),
                default_namespace: text(input, "defaultNamespace").to_owned(),
                namespace: text(input, "namespace").to_owned(),
                project: text(input, "projectId").to_owned(),
            };
            let message = call
                .shared
                .hooks
                .import_yaml(call.caller()?, mapping::name(cluster), import)
                .await?;
            Ok(Outcome::Document(
                StatusCode::OK,
                json!({"type": "importYamlOutput", "baseType": "importYamlOutput", "message": message}),
            ))
        }
        other => Err(super::unknown_action(other)),
    }
}

async fn kubeconfig(call: &Call<'_>, cluster: &Value) -> Result<Outcome, ApiError> {
    let caller = call.caller()?;
    let id = mapping::name(cluster);
    let shown = text_at(cluster, "/spec/displayName");
    let name = if shown.is_empty() { id } else { shown };
    let configured = settings::value(call, "server-url").await?;
    let server = if configured.is_empty() {
        call.urls.absolute("")
    } else {
        configured
    };
    let ca = settings::value(call, "cacerts").await?;
    let ca = if ca.is_empty() { ca } else { encode_ca(&ca) };
    // A token that is shown to a cluster itself must be good for that cluster only.
    let typed: Cluster =
        serde_json::from_value(cluster.clone()).map_err(|error| unreadable(&error))?;
    let scope = typed.spec.auth_endpoint().enabled.then_some(id);
    let credential = if settings::value(call, "kubeconfig-generate-token").await? == "false" {
        Credential::Command {
            server: server
                .trim_start_matches("https://")
                .trim_start_matches("http://")
                .to_owned(),
            user: caller.user.as_str().to_owned(),
            cluster: scope.map(str::to_owned),
        }
    } else {
        Credential::Token(super::token::for_kubeconfig(call, scope).await?)
    };
    let mut entries = vec![kubeconfig::Entry::through(&server, id, name, &ca, name)];
    if scope.is_some() {
        let nodes = call
            .store()
            .list(object_of(call, "node")?, Some(id))
            .await?;
        let nodes: Result<Vec<Node>, _> = nodes.into_iter().map(serde_json::from_value).collect();
        let nodes = nodes.map_err(|error| unreadable(&error))?;
        entries.extend(kubeconfig::direct(&typed, &nodes, name, name));
    }
    let written = kubeconfig::text(&entries, name, &[(name.to_owned(), credential)]);
    let config = written.map_err(|error| {
        ApiError::server_error(format!("the kubeconfig could not be written: {error}"))
    })?;
    Ok(Outcome::Document(
        StatusCode::OK,
        json!({"type": "generateKubeConfigOutput", "baseType": "generateKubeConfigOutput", "config": config}),
    ))
}

fn unreadable(error: &serde_json::Error) -> ApiError {
    tracing::error!(%error, "a cluster or one of its nodes cannot be understood");
    ApiError::server_error("the cluster cannot be read")
}

fn encode_ca(pem: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(pem.trim_end())
}

/// The cluster and project names in `cluster:project`.
pub(crate) fn split_project(call: &Call<'_>, id: &str) -> Result<(String, String), ApiError> {
    let missing = || {
        ApiError::invalid("InvalidReference", "there is no such project").with_field("projectId")
    };
    let kind = call.registry().get("project").ok_or_else(missing)?;
    let object = kind.object.ok_or_else(missing)?;
    match split_id(kind, object, id) {
        Ok((Some(cluster), project)) => Ok((cluster.to_owned(), project.to_owned())),
        Ok((None, _)) | Err(_) => Err(missing()),
    }
}
