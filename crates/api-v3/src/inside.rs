//! Resources inside clusters and projects: `/v3/cluster/{id}/...` and `/v3/project/{id}/...`.
//!
//! Every read and write goes to the cluster with the caller's own rights, so that the cluster's own RBAC decides. Secrets
//! of a whole project lie on the hub, where the index of rights decides.
//!
//! Invariants: in a project only what lies in its namespaces is seen or touched; who may not see the cluster or project
//! learns nothing of what is in it.

use std::collections::BTreeSet;

use drover_auth::Attributes;
use drover_auth::web::{self, ApiError, Response};
use http::request;
use http::{Method, StatusCode};
use serde_json::{Map, Value};

use crate::api::read;
use crate::call::{Call, Item, link_not_found, split_id};
use crate::collection::{Collection, Extent};
use crate::encode::Writer;
use crate::kinds::{self, namespace, secret, text_at, workload};
use crate::mapping::{self, Reveal};
use crate::schema::{Base, Layout, Object, Type, Workload};
use crate::store::Store;
use crate::target::Context;

mod aim;
mod change;
mod provide;
mod show;
mod workloads;

const NAMESPACES: Object = Object {
    kind: "Namespace",
    resource: "namespaces",
    namespaced: false,
    layout: Layout::Flat,
};

/// What is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) kind: &'a Type,
    pub(crate) object: Object,
    pub(crate) context: Option<&'a Context>,
    pub(crate) id: Option<&'a str>,
    pub(crate) link: Option<&'a str>,
}

/// Where a request goes.
#[derive(Clone)]
enum Place {
    /// The whole cluster.
    Cluster,
    /// The namespaces of a project; `backing` is its namespace on the hub.
    Project {
        cluster: String,
        project: String,
        backing: String,
    },
    /// A project's namespace on the hub.
    Hub { project: String, backing: String },
}

/// One request into a cluster or project.
struct Inside<'a> {
    call: &'a Call<'a>,
    kind: &'a Type,
    object: Object,
    context: &'a Context,
    place: Place,
    /// Where the objects are: the cluster as the caller, or the hub.
    store: Store,
}

/// Answers a request.
pub(crate) async fn answer(
    call: &Call<'_>,
    writer: &Writer,
    asked: Asked<'_>,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    let mut inside = Inside::enter(call, &asked).await?;
    let mut id = asked.id.map(str::to_owned);
    if let Some(named) = asked.id.filter(|_| inside.has_workloads()) {
        let (narrowed, rest) = inside.narrowed(named)?;
        (inside, id) = (narrowed, Some(rest));
    }
    let id = id.as_deref();
    if let Some(action) = call.query.get("action") {
        let Some(id) = id.filter(|_| asked.method == Method::POST) else {
            return Err(kinds::unknown_action(action));
        };
        inside.act(id, action, &read(parts, body).await?).await?;
        return Ok(writer.empty(StatusCode::OK));
    }
    let all = asked.kind.workload == Some(Workload::Any);
    match (asked.method, id, asked.link) {
        (&Method::GET, Some(id), Some("yaml")) if !asked.kind.on_hub => inside.yaml(id).await,
        (&Method::GET, Some(id), Some("revisions"))
            if inside.kind.workload == Some(Workload::Deployment) =>
        {
            let items = inside.revisions(id).await?;
            Ok(writer.answer(StatusCode::OK, &inside.collection(asked.kind, items)))
        }
        (_, _, Some(link)) => Err(link_not_found(link)),
        (&Method::GET, None, None) => {
            let items = if all {
                inside.all_kinds().await?
            } else {
                inside.list().await?
            };
            Ok(writer.answer(StatusCode::OK, &inside.collection(asked.kind, items)))
        }
        (&Method::POST, None, None) if asked.kind.collection_methods.contains(&"POST") => {
            let sent = read(parts, body).await?;
            let item = if all {
                inside.create_wanted(sent).await?
            } else {
                inside.create(sent).await?
            };
            Ok(writer.answer(StatusCode::CREATED, &item))
        }
        (&Method::GET, Some(id), None) => {
            let found = inside.get(id, "get").await?;
            Ok(writer.answer(StatusCode::OK, &inside.item(&found, Reveal::No)))
        }
        (&Method::PUT, Some(id), None) if inside.kind.resource_methods.contains(&"PUT") => {
            let item = inside.update(id, &read(parts, body).await?).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        (&Method::DELETE, Some(id), None) if inside.kind.resource_methods.contains(&"DELETE") => {
            match inside.delete(id).await? {
                Some(left) => Ok(writer.answer(StatusCode::OK, &inside.item(&left, Reveal::No))),
                None => Ok(writer.empty(StatusCode::NO_CONTENT)),
            }
        }
        (method, _, _) => Err(ApiError::method_not_allowed(format!(
            "Method {method} not supported"
        ))),
    }
}

impl<'a> Inside<'a> {
    /// Finds where the request goes, and that the caller may see the cluster or project.
    async fn enter(call: &'a Call<'a>, asked: &Asked<'a>) -> Result<Self, ApiError> {
        let kind = asked.kind;
        let context = asked
            .context
            .filter(|context| context.base == kind.base)
            .ok_or_else(|| ApiError::not_found(format!("failed to find schema {}", kind.id)))?;
        let clusters = kinds::object_of(call, "cluster")?;
        let (cluster, place) = if kind.base == Base::Cluster {
            if let Some(declared) = call.registry().get("cluster") {
                split_id(declared, clusters, &context.id)?;
            }
            call.require("get", clusters, None, Some(&context.id))?;
            (context.id.clone(), Place::Cluster)
        } else {
            let projects = kinds::object_of(call, "project")?;
            let declared = call.registry().get("project");
            let (cluster, project) = declared
                .map(|declared| split_id(declared, projects, &context.id))
                .transpose()?
                .and_then(|(cluster, project)| Some((cluster?, project)))
                .ok_or_else(|| crate::call::not_found(projects, &context.id))?;
            call.require("get", projects, Some(cluster), Some(project))?;
            let found = call.store().find(projects, Some(cluster), project).await?;
            let found = found.ok_or_else(|| crate::call::not_found(projects, &context.id))?;
            let backing = match text_at(&found, "/status/backingNamespace") {
                "" => project,
                backing => backing,
            };
            let (project, backing) = (project.to_owned(), backing.to_owned());
            let place = if kind.on_hub {
                Place::Hub { project, backing }
            } else {
                Place::Project {
                    cluster: cluster.to_owned(),
                    project,
                    backing,
                }
            };
            (cluster.to_owned(), place)
        };
        let store = if kind.on_hub {
            Store::of(call.store().client().clone(), kind.api)
        } else {
            let client = call.shared.hooks.cluster_client(call.caller()?, &cluster);
            Store::of(client.ok_or_else(unreachable)?, kind.api)
        };
        Ok(Self {
            call,
            kind,
            object: asked.object,
            context,
            place,
            store,
        })
    }

    fn collection(&self, kind: &Type, items: Vec<Item>) -> Collection {
        let (urls, query) = (&self.call.urls, &self.call.query);
        let mut collection = Collection::of(kind, urls, query, Map::new(), Extent::Paged, items);
        let plural = kind.plural().to_ascii_lowercase();
        collection.creates_at(kind, &format!("{}/{plural}", self.base()));
        collection
    }

    fn base(&self) -> String {
        self.call
            .urls
            .base_url(self.kind.base, Some(&self.context.id))
    }

    /// Whether the caller may do this to Secrets of the project; in clusters the cluster decides.
    fn may(&self, verb: &str, name: Option<&str>) -> Result<(), ApiError> {
        let Place::Hub { backing, .. } = &self.place else {
            return Ok(());
        };
        let identity = self.call.caller()?;
        let attributes = Attributes {
            verb,
            group: "",
            resource: self.object.resource,
            namespace: Some(backing),
            name,
        };
        if self
            .call
            .shared
            .rights
            .allows(identity, &attributes)
            .is_allowed()
        {
            return Ok(());
        }
        Err(attributes.forbidden(identity))
    }

    async fn list(&self) -> Result<Vec<Item>, ApiError> {
        let found = self.objects().await?;
        Ok(found
            .iter()
            .filter(|object| secret::is_listed(self.kind, object))
            .filter(|object| !self.has_workloads() || !workload::is_made(object))
            .map(|object| self.item(object, Reveal::No))
            .collect())
    }

    /// What lies in the place, as far as the caller may list it.
    async fn objects(&self) -> Result<Vec<Value>, ApiError> {
        match &self.place {
            Place::Cluster => permitted(self.store.list(self.object, None).await),
            Place::Hub { backing, .. } => match self.may("list", None) {
                Ok(()) => self.store.list(self.object, Some(backing)).await,
                refused => permitted(refused.map(|()| Vec::new())),
            },
            Place::Project { .. } => self.of_project().await,
        }
    }

    /// What lies in the project's namespaces, as far as the caller may list it.
    async fn of_project(&self) -> Result<Vec<Value>, ApiError> {
        let mut namespaces = self.namespaces().await?;
        if let Some(only) = self.call.query.get("namespaceId") {
            namespaces.retain(|namespace| namespace == only);
        }
        if namespaces.len() > 1 {
            match self.store.list(self.object, None).await {
                Ok(mut all) => {
                    all.retain(|object| {
                        mapping::namespace(object).is_some_and(|place| namespaces.contains(place))
                    });
                    return Ok(all);
                }
                Err(error) if error.status == StatusCode::FORBIDDEN => {}
                Err(error) => return Err(error),
            }
        }
        let mut found = Vec::new();
        for namespace in &namespaces {
            let some = self.store.list(self.object, Some(namespace)).await;
            found.append(&mut permitted(some)?);
        }
        Ok(found)
    }

    /// Names of the project's namespaces, whoever may see them: membership is no secret to who may see the project.
    async fn namespaces(&self) -> Result<BTreeSet<String>, ApiError> {
        let Place::Project {
            cluster, project, ..
        } = &self.place
        else {
            return Ok(BTreeSet::new());
        };
        let whole = Store::of_core(self.call.shared.hooks.cluster(cluster).await?);
        let all = whole.list(NAMESPACES, None).await?;
        let own = all.iter().filter(|object| {
            namespace::project(object, cluster)
                .and_then(|id| id.split_once(':'))
                .is_some_and(|(_, name)| name == project)
        });
        Ok(own.map(mapping::name).map(str::to_owned).collect())
    }

    /// Whether a namespace is of the project.
    async fn is_own(&self, name: &str) -> Result<bool, ApiError> {
        let Place::Project {
            cluster, project, ..
        } = &self.place
        else {
            return Ok(true);
        };
        let whole = Store::of_core(self.call.shared.hooks.cluster(cluster).await?);
        let found = whole.find(NAMESPACES, None, name).await?;
        Ok(found
            .as_ref()
            .and_then(|found| namespace::project(found, cluster))
            .and_then(|id| id.split_once(':'))
            .is_some_and(|(_, name)| name == project))
    }

    /// Namespace and name behind an identifier.
    async fn locate(&self, id: &str) -> Result<(Option<String>, String), ApiError> {
        let absent = || ApiError::not_found(format!("{} \"{id}\" not found", self.object.resource));
        let (first, name) = split_id(self.kind, self.object, id).map_err(|_| absent())?;
        match (&self.place, first) {
            (Place::Cluster, _) => Ok((None, name.to_owned())),
            (Place::Hub { project, backing }, Some(first)) if first == project => {
                Ok((Some(backing.clone()), name.to_owned()))
            }
            (Place::Project { .. }, Some(first)) if self.is_own(first).await? => {
                Ok((Some(first.to_owned()), name.to_owned()))
            }
            _ => Err(absent()),
        }
    }

    /// Reads an object that the caller is about to use `verb` on.
    async fn get(&self, id: &str, verb: &str) -> Result<Value, ApiError> {
        let (namespace, name) = self.locate(id).await?;
        self.may(verb, Some(&name))?;
        let found = self
            .store
            .get(self.object, namespace.as_deref(), &name)
            .await?;
        if secret::is_of(self.kind, &found) {
            Ok(found)
        } else {
            Err(ApiError::not_found(format!(
                "{} \"{id}\" not found",
                self.kind.id
            )))
        }
    }

    /// The object itself, as YAML.
    async fn yaml(&self, id: &str) -> Result<Response, ApiError> {
        let mut found = self.get(id, "get").await?;
        if let Some(metadata) = found.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let text = serde_saphyr::to_string(&found)
            .map_err(|error| ApiError::server_error(error.to_string()))?;
        let mut response = web::text(StatusCode::OK, text);
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/yaml"),
        );
        Ok(response)
    }
}

/// Lists show what may be seen; they refuse nobody (reference section 1.5).
fn permitted(listed: Result<Vec<Value>, ApiError>) -> Result<Vec<Value>, ApiError> {
    match listed {
        Err(error) if error.status == StatusCode::FORBIDDEN => Ok(Vec::new()),
        other => other,
    }
}

fn unreachable() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "ClusterUnavailable",
        "the cluster cannot be reached from here",
    )
}
