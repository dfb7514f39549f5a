//! What the APIs ask of other parts: ways into clusters, YAML into them, the end of a session.

use std::convert::Infallible;
use std::fmt::Display;

use drover_api_v1::Reach;
use drover_api_v3::{Hooks, YamlImport, stopped};
use drover_auth::web::{ApiError, boxed};
use drover_auth::{Authenticator, Identity};
use drover_proxy::{Clusters, Unreachable};
use drover_types::names::{LOCAL_CLUSTER, PROJECT_ANNOTATION};
use futures::future::BoxFuture;
use http::StatusCode;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::error::DiscoveryError;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;

use crate::refusal;
use crate::way::Way;

/// Who writes what people import.
const MANAGER: &str = "drover-import";

/// The hooks of a running server.
#[derive(Clone, Debug)]
pub(crate) struct ServerHooks {
    way: Way,
    clusters: Clusters,
    authenticator: Authenticator,
}

impl ServerHooks {
    pub(crate) fn new(way: Way, clusters: Clusters, authenticator: Authenticator) -> Self {
        Self {
            way,
            clusters,
            authenticator,
        }
    }

    /// A client of a cluster whose every request goes the way of the user's own.
    fn as_user(&self, identity: &Identity, cluster: &str) -> Client {
        let (way, identity, cluster) = (self.way.clone(), identity.clone(), cluster.to_owned());
        let allowance = self.clusters.allowance(&cluster);
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (way, identity, cluster) = (way.clone(), identity.clone(), cluster.clone());
            let allowance = allowance.clone();
            async move {
                let path = request.uri().path().to_owned();
                let query = request.uri().query().map(str::to_owned);
                let piecewise = request.extensions().get().copied();
                let request = request.map(boxed);
                let answer = way.handle(request, Some(identity), &cluster, &path).await;
                let answer = refusal::as_status(answer).await;
                Ok::<_, Infallible>(
                    answer.map(|body| boxed(allowance.bound(query.as_deref(), piecewise, body))),
                )
            }
        });
        Client::new(service, "default")
    }
}

impl Hooks for ServerHooks {
    fn import_yaml<'a>(
        &'a self,
        identity: &'a Identity,
        cluster: &'a str,
        import: YamlImport,
    ) -> BoxFuture<'a, Result<String, ApiError>> {
        Box::pin(async move { apply(&self.as_user(identity, cluster), &import).await })
    }

    fn cluster_client(&self, identity: &Identity, cluster: &str) -> Option<Client> {
        Some(self.as_user(identity, cluster))
    }

    fn cluster<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, ApiError>> {
        Box::pin(async move {
            self.clusters.client(cluster).await.map_err(|error| {
                ApiError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ClusterUnavailable",
                    chain(&error),
                )
            })
        })
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        Box::pin(self.authenticator.revoked(identity))
    }
}

impl Reach for ServerHooks {
    fn as_user(&self, identity: &Identity, cluster: &str) -> Client {
        Self::as_user(self, identity, cluster)
    }

    fn whole<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<Client, ApiError>> {
        Box::pin(async move {
            let client = self.clusters.client(cluster).await.map_err(|error| {
                if matches!(error, Unreachable::Unknown(_)) {
                    return ApiError::not_found(chain(&error));
                }
                ApiError::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "ClusterUnavailable",
                    chain(&error),
                )
            })?;
            Ok(if cluster == LOCAL_CLUSTER {
                drover_ext::discovery::completed(client)
            } else {
                client
            })
        })
    }

    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()> {
        Box::pin(self.authenticator.revoked(identity))
    }
}

async fn apply(client: &Client, import: &YamlImport) -> Result<String, ApiError> {
    let wrong = |error: &dyn Display| ApiError::invalid_body(format!("yaml: {error}"));
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&import.yaml).map_err(|error| wrong(&error))?;
    // An empty document is no object.
    let documents: Vec<_> = documents.into_iter().filter(|it| !it.is_null()).collect();
    let n_documents = documents.len();
    let mut applied = Vec::new();
    for (at, document) in documents.into_iter().enumerate() {
        match apply_one(client, import, document).await {
            Ok(object) => applied.push(object),
            Err(error) => return Err(stopped(error, at, n_documents, &applied)),
        }
    }
    let said: Vec<_> = applied
        .iter()
        .map(|object| format!("{object} applied"))
        .collect();
    Ok(said.join("\n"))
}

/// Applies one object; what it is called.
async fn apply_one(
    client: &Client,
    import: &YamlImport,
    document: Value,
) -> Result<String, ApiError> {
    let wrong = |error: &dyn Display| ApiError::invalid_body(format!("yaml: {error}"));
    let mut object: DynamicObject =
        serde_json::from_value(document).map_err(|error| wrong(&error))?;
    let name = object.name_any();
    if name.is_empty() {
        return Err(ApiError::invalid_body(
            "yaml: an object has no metadata.name",
        ));
    }
    let kind = object
        .types
        .as_ref()
        .ok_or_else(|| ApiError::invalid_body("yaml: an object has no kind"))?;
    let kind = GroupVersionKind::try_from(kind)
        .map_err(|error| ApiError::invalid_body(format!("yaml: {error}")))?;
    let (resource, capabilities) = pinned_kind(client, &kind)
        .await
        .map_err(|error| unknown(error, &kind))?;
    let api: Api<DynamicObject> = if capabilities.scope == Scope::Namespaced {
        let namespace = namespace(&object, import);
        object.metadata.namespace = Some(namespace.clone());
        Api::namespaced_with(client.clone(), &namespace, &resource)
    } else {
        if kind.kind == "Namespace" && !import.project.is_empty() {
            object
                .annotations_mut()
                .insert(PROJECT_ANNOTATION.to_owned(), import.project.clone());
        }
        Api::all_with(client.clone(), &resource)
    };
    api.patch(
        &name,
        &PatchParams::apply(MANAGER).force(),
        &Patch::Apply(&object),
    )
    .await
    .map_err(refused)?;
    Ok(format!("{}/{name}", resource.plural))
}

/// A kind that the cluster does not know is the document's fault.
fn unknown(error: kube::Error, kind: &GroupVersionKind) -> ApiError {
    match error {
        kube::Error::Discovery(DiscoveryError::MissingKind(_)) => {
            let version = kind.api_version();
            ApiError::invalid_body(format!(
                "yaml: the cluster does not know a kind {} of {version}",
                kind.kind
            ))
        }
        other => refused(other),
    }
}

fn namespace(object: &DynamicObject, import: &YamlImport) -> String {
    let given = |name: &str| (!name.is_empty()).then(|| name.to_owned());
    given(&import.namespace)
        .or_else(|| object.namespace())
        .or_else(|| given(&import.default_namespace))
        .unwrap_or_else(|| "default".to_owned())
}

fn refused(error: kube::Error) -> ApiError {
    match error {
        kube::Error::Api(_) => ApiError::from(error),
        other => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ClusterUnavailable",
            chain(&other),
        ),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
