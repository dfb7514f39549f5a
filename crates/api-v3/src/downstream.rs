//! Resources that lie inside clusters: `/v3/cluster/{id}/...`.
//!
//! Every read and write goes to the cluster with the caller's own rights, so
//! the cluster's own RBAC decides. A caller who may not list a whole cluster's
//! namespaces is shown those of the projects it has a part in.

use drover_auth::web::{self, ApiError, Response};
use drover_types::names::{CREATOR_ANNOTATION, CREATOR_LABEL, CREATOR_NORMAN};
use http::request;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::api::read;
use crate::call::{Call, Item, split_id};
use crate::collection::{Collection, Extent};
use crate::crossed::until_settled;
use crate::encode::Writer;
use crate::kinds::{self, namespace, quota};
use crate::mapping::{self, Merge, Reveal};
use crate::schema::{Base, Object, Type};
use crate::store::Store;
use crate::summary::{Fresh, summarize};
use crate::target::Context;
use crate::validate::{self, Operation};

/// One request into a cluster.
struct Inside<'a> {
    call: &'a Call<'a>,
    kind: &'a Type,
    object: Object,
    cluster: &'a str,
    /// The cluster, as the caller.
    store: Store,
}

/// Answers a request for namespaces of a cluster.
#[expect(
    clippy::too_many_arguments,
    reason = "the pieces of one request, passed once"
)]
pub(crate) async fn answer(
    call: &Call<'_>,
    writer: &Writer,
    method: &Method,
    kind: &Type,
    object: Object,
    context: Option<&Context>,
    id: Option<&str>,
    parts: &request::Parts,
    body: web::Body,
) -> Result<Response, ApiError> {
    let cluster = context
        .filter(|context| context.base == Base::Cluster)
        .map(|context| context.id.as_str())
        .ok_or_else(|| ApiError::not_found(format!("failed to find schema {}", kind.id)))?;
    let clusters = kinds::object_of(call, "cluster")?;
    let declared = call.registry().get("cluster");
    if let Some(declared) = declared {
        split_id(declared, clusters, cluster)?;
    }
    call.require("get", clusters, None, Some(cluster))?;
    let client = call.shared.hooks.cluster_client(call.caller()?, cluster);
    let client = client.ok_or_else(|| {
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ClusterUnavailable",
            "the cluster cannot be reached from here",
        )
    })?;
    let inside = Inside {
        call,
        kind,
        object,
        cluster,
        store: Store::of_core(client),
    };
    let action = call.query.get("action");
    match (method, id, action) {
        (&Method::GET, None, _) => {
            let items = inside.list().await?;
            let mut collection = Collection::of(
                kind,
                &call.urls,
                &call.query,
                Map::new(),
                Extent::Paged,
                items,
            );
            collection.creates_at(kind, &inside.url(None));
            Ok(writer.answer(StatusCode::OK, &collection))
        }
        (&Method::POST, None, None) => {
            let item = inside.create(read(parts, body).await?).await?;
            Ok(writer.answer(StatusCode::CREATED, &item))
        }
        (&Method::POST, Some(id), Some("move")) => {
            inside.relocate(id, &read(parts, body).await?).await?;
            Ok(Response::new(web::empty()))
        }
        (&Method::POST, _, Some(action)) => Err(kinds::unknown_action(action)),
        (&Method::GET, Some(id), _) => {
            let found = inside.get(id).await?;
            Ok(writer.answer(StatusCode::OK, &inside.item(&found)))
        }
        (&Method::PUT, Some(id), _) => {
            let item = inside.update(id, &read(parts, body).await?).await?;
            Ok(writer.answer(StatusCode::OK, &item))
        }
        (&Method::DELETE, Some(id), _) => match inside.delete(id).await? {
            Some(left) => Ok(writer.answer(StatusCode::OK, &inside.item(&left))),
            None => Ok(writer.empty(StatusCode::NO_CONTENT)),
        },
        _ => Err(ApiError::method_not_allowed(format!(
            "Method {method} not supported"
        ))),
    }
}

impl Inside<'_> {
    fn url(&self, name: Option<&str>) -> String {
        let base = self.call.urls.base_url(Base::Cluster, Some(self.cluster));
        let plural = self.kind.plural();
        match name {
            Some(name) => format!("{base}/{plural}/{}", crate::urls::segment(name)),
            None => format!("{base}/{plural}"),
        }
    }

    fn item(&self, object: &Value) -> Item {
        let mut item = mapping::to_resource(self.call.registry(), self.kind, object, Reveal::No);
        let summary = summarize(object, self.call.now, Fresh::Active);
        item.insert("state".to_owned(), json!(summary.state));
        item.insert("transitioning".to_owned(), json!(summary.progress()));
        item.insert("transitioningMessage".to_owned(), json!(summary.message()));
        namespace::amend(object, self.cluster, &mut item);
        let own = self.url(Some(mapping::name(object)));
        item.insert(
            "links".to_owned(),
            json!({"self": own, "update": own, "remove": own}),
        );
        item.insert(
            self.call.action_key.to_owned(),
            json!({"move": format!("{own}?action=move")}),
        );
        item
    }

    async fn list(&self) -> Result<Vec<Item>, ApiError> {
        let found = match self.store.list(self.object, None).await {
            Ok(found) => found,
            Err(error) if error.status == StatusCode::FORBIDDEN => self.of_own_projects().await?,
            Err(error) => return Err(error),
        };
        Ok(found.iter().map(|object| self.item(object)).collect())
    }

    /// The namespaces of projects that the caller has a part in.
    async fn of_own_projects(&self) -> Result<Vec<Value>, ApiError> {
        let whole = Store::of_core(self.call.shared.hooks.cluster(self.cluster).await?);
        let mut found = whole.list(self.object, None).await?;
        let mut wrong = None;
        found.retain(|object| {
            let project = namespace::project(object, self.cluster)
                .and_then(|project| project.split_once(':'));
            project.is_some_and(|(_, project)| {
                namespace::has_part(self.call, self.cluster, project).unwrap_or_else(|error| {
                    wrong = Some(error);
                    false
                })
            })
        });
        wrong.map_or(Ok(found), Err)
    }

    async fn get(&self, id: &str) -> Result<Value, ApiError> {
        let (_, name) = split_id(self.kind, self.object, id)?;
        self.store.get(self.object, None, name).await
    }

    async fn create(&self, sent: Map<String, Value>) -> Result<Item, ApiError> {
        let registry = self.call.registry();
        let mut fields = validate::fields(registry, self.kind, &sent, Operation::Create)?;
        let project = namespace::target(self.call, self.cluster, &fields).await?;
        let mut object = json!({});
        mapping::apply(registry, self.kind, &mut object, &fields, Merge::Keep);
        if mapping::name(&object).is_empty() {
            object["metadata"]["generateName"] = json!(self.kind.name_prefix());
        }
        let mut turn = None;
        if let Some(project) = &project {
            namespace::assign(&mut object, Some(project));
            let name = mapping::name(&object).to_owned();
            let origin = quota::Origin::Sent;
            turn = quota::fit(self.call, self.cluster, project, &name, &mut fields, origin).await?;
            namespace::inherit(&mut fields, project);
        }
        namespace::check_pod_security(self.call, self.cluster, &json!({}), &object)?;
        namespace::begin(&mut object, turn.is_some());
        namespace::store(&mut object, &fields);
        object["metadata"]["labels"][CREATOR_LABEL] = json!(CREATOR_NORMAN);
        object["metadata"]["annotations"][CREATOR_ANNOTATION] = json!(self.call.user());
        let created = self.store.create(self.object, None, object).await?;
        drop(turn);
        Ok(self.item(&created))
    }

    async fn update(&self, id: &str, sent: &Map<String, Value>) -> Result<Item, ApiError> {
        let registry = self.call.registry();
        let mut fields = validate::fields(registry, self.kind, sent, Operation::Update)?;
        let mut turn = None;
        if fields.contains_key("resourceQuota") {
            if let Some(project) = self.project_of(id).await? {
                let origin = quota::Origin::Sent;
                turn =
                    quota::fit(self.call, self.cluster, &project, id, &mut fields, origin).await?;
            }
        } else {
            quota::check_containers(&fields)?;
        }
        let updated = self
            .change(id, |object| {
                let before = object.clone();
                mapping::apply(registry, self.kind, object, &fields, Merge::Keep);
                namespace::store(object, &fields);
                namespace::check_pod_security(self.call, self.cluster, &before, object)
            })
            .await?;
        drop(turn);
        Ok(self.item(&updated))
    }

    /// The project that a namespace is in.
    async fn project_of(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let found = self.get(id).await?;
        let project = namespace::project(&found, self.cluster).and_then(|id| id.split_once(':'));
        let Some((_, project)) = project else {
            return Ok(None);
        };
        let projects = kinds::object_of(self.call, "project")?;
        self.call
            .store()
            .find(projects, Some(self.cluster), project)
            .await
    }

    async fn relocate(&self, id: &str, input: &Map<String, Value>) -> Result<(), ApiError> {
        let project = namespace::target(self.call, self.cluster, input).await?;
        let (mut fields, mut turn) = (Map::new(), None);
        if let Some(project) = &project {
            // It brings its own quota; without one it gets what the project gives.
            if let Some(own) = namespace::quota(&self.get(id).await?) {
                fields.insert("resourceQuota".to_owned(), own);
            }
            let origin = quota::Origin::Kept;
            turn = quota::fit(self.call, self.cluster, project, id, &mut fields, origin).await?;
        }
        self.change(id, |object| {
            namespace::assign(object, project.as_ref());
            namespace::store(object, &fields);
            Ok(())
        })
        .await?;
        drop(turn);
        Ok(())
    }

    /// Changes an object, again if somebody else was faster.
    async fn change(
        &self,
        id: &str,
        change: impl Fn(&mut Value) -> Result<(), ApiError>,
    ) -> Result<Value, ApiError> {
        until_settled(|| async {
            let mut object = self.get(id).await?;
            change(&mut object)?;
            self.store.replace(self.object, &object).await
        })
        .await
    }

    /// Removes an object; gives what is left of it while it goes.
    async fn delete(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let (_, name) = split_id(self.kind, self.object, id)?;
        self.store.delete(self.object, None, name).await?;
        match self.store.find(self.object, None, name).await {
            // With the namespace goes the right to look at it.
            Err(error) if error.status == StatusCode::FORBIDDEN => Ok(None),
            other => other,
        }
    }
}
