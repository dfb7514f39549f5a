//! One request being served.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_api::encode::Writer;
use drover_api::keeper::Keeper;
use drover_auth::logins::Logins;
use drover_auth::web::{ApiError, Response};
use drover_auth::{Attributes, Clock, Identity};
use drover_types::management::GROUP;
use drover_types::names::LOCAL_CLUSTER;
use futures::TryFutureExt;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Map, Value, json};

use crate::cache::{Caches, Entry};
use crate::catalog::Catalogs;
use crate::format::{Allowed, resource};
use crate::guard::Guard;
use crate::kind::Kind;
use crate::neighbours::Neighbours;
use crate::query::Pairs;
use crate::reach::Reach;
use crate::rights::Rights;
use crate::shell::Shells;
use crate::urls::Urls;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) reach: Arc<dyn Reach>,
    /// Who takes writes to the hub that the index of roles decides about.
    pub(crate) keeper: Arc<dyn Keeper>,
    pub(crate) caches: Arc<Caches>,
    pub(crate) catalogs: Catalogs,
    pub(crate) guard: Guard,
    pub(crate) clock: Clock,
    /// Settings given by the environment.
    pub(crate) setting_overrides: BTreeMap<String, String>,
    /// Time between pings of event streams.
    pub(crate) ping: Duration,
    /// What passwords are hashed with.
    pub(crate) logins: Logins,
    /// kubectl shells.
    pub(crate) shells: Shells,
    /// The audit log, if one is written.
    pub(crate) audit: Option<crate::audit::AuditLog>,
}

/// One request, or one stream that outlives its request.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) identity: Identity,
    pub(crate) cluster: String,
    pub(crate) pairs: Pairs,
    pub(crate) urls: Urls,
    pub(crate) writer: Writer,
}

/// Why there is no answer with a body of ours.
#[derive(Debug)]
pub(crate) enum Refused {
    /// An error with a body.
    Error(ApiError),
    /// There is no such type for this caller: 404 without a body (recorded/http/06).
    NoType,
    /// The caller may not enter the cluster: 401 without a body.
    NoEntry,
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Error(error)
    }
}

pub(crate) type Answer<T = Response> = Result<T, Refused>;

impl Call {
    pub(crate) fn is_hub(&self) -> bool {
        self.cluster == LOCAL_CLUSTER
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) async fn rights(&self) -> Answer<Arc<Rights>> {
        self.shared
            .guard
            .rights(&self.identity, &self.cluster)
            .await?
            .ok_or(Refused::NoEntry)
    }

    /// # Errors
    /// 403 for who has no part in a cluster; seeing that there is one is not enough.
    pub(crate) fn check_part(&self, cluster: &str) -> Result<(), ApiError> {
        let access = self.shared.guard.access();
        if access.cluster_groups(&self.identity, cluster).is_some() {
            return Ok(());
        }
        let asked = Attributes {
            verb: "get",
            group: GROUP,
            resource: "clusters",
            namespace: None,
            name: Some(cluster),
        };
        Err(asked.forbidden(&self.identity))
    }

    /// The same caller inside a cluster.
    pub(crate) fn inside(&self, cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            urls: Urls::new(self.urls.norman(""), cluster),
            ..self.clone()
        }
    }

    /// The cluster, as the caller.
    pub(crate) fn as_caller(&self) -> Client {
        self.shared.reach.as_user(&self.identity, &self.cluster)
    }

    /// The cluster with the server's own rights.
    pub(crate) async fn whole(&self) -> Answer<Client> {
        Ok(self.shared.reach.whole(&self.cluster).await?)
    }

    /// Who reads one object: the server where what is known of the caller's rights on the hub allows it, else the caller
    /// itself.
    pub(crate) async fn reader(
        &self,
        rights: &Rights,
        kind: &Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Answer<Client> {
        let asked = Attributes {
            verb: "get",
            group: &kind.group,
            resource: &kind.resource,
            namespace,
            name: Some(name),
        };
        let access = self.shared.guard.access();
        if kind.is_personal() {
            return Ok(self.as_caller());
        }
        if self.is_hub() && rights.may("get", kind, namespace, Some(name)) {
            return self.whole().await;
        }
        if self.is_hub()
            && access
                .cluster_groups(&self.identity, &self.cluster)
                .is_none()
        {
            return Err(asked.forbidden(&self.identity).into());
        }
        Ok(self.as_caller())
    }

    /// An entry as the caller is shown it.
    pub(crate) fn shown(&self, rights: &Rights, kind: &Kind, entry: &Entry) -> Map<String, Value> {
        self.shown_among(&Neighbours::of(self), rights, kind, entry, entry.object())
    }

    /// An entry as the caller is shown it, with what the copies know of related objects; `object` is what is shown of the
    /// object itself.
    pub(crate) fn shown_among(
        &self,
        neighbours: &Neighbours,
        rights: &Rights,
        kind: &Kind,
        entry: &Entry,
        mut object: Value,
    ) -> Map<String, Value> {
        // What the environment sets wins over what is stored.
        if self.is_hub()
            && kind.group == GROUP
            && kind.resource == "settings"
            && let Some(value) = self.shared.setting_overrides.get(entry.name())
        {
            object["value"] = json!(value);
            object["source"] = json!("env");
        }
        let allowed = allowed(rights, kind, entry.namespace(), entry.name());
        let mut shown = resource(kind, object, &entry.cells, &self.urls, allowed, self.now());
        neighbours.complete(rights, kind, entry, &mut shown);
        shown
    }

    /// The kind a type names, for this caller: one without any method is none.
    pub(crate) async fn kind(&self, name: &str) -> Answer<(Kind, Arc<Rights>)> {
        let find = self.shared.catalogs.find(&self.cluster, name);
        // At once, for both may have to be asked of the cluster. Who has no part in it is refused before anything is asked.
        let (rights, kind) =
            futures::future::try_join(self.rights(), find.map_err(Refused::from)).await?;
        let kind = kind.ok_or(Refused::NoType)?;
        let methods = ["get", "list", "create", "update", "patch", "delete"];
        if methods.iter().any(|verb| rights.may_somewhere(verb, &kind)) {
            Ok((kind, rights))
        } else {
            Err(Refused::NoType)
        }
    }
}

/// What the links of an object may say.
fn allowed(rights: &Rights, kind: &Kind, namespace: Option<&str>, name: &str) -> Allowed {
    let may = |verb: &str| kind.has(verb) && rights.may_itself(verb, kind, namespace, Some(name));
    let update = may("update");
    Allowed {
        update,
        patch: update || may("patch"),
        remove: may("delete"),
    }
}

/// 403 for a method that the type does not have for this caller.
pub(crate) fn no_method(method: &str, kind: &str) -> ApiError {
    ApiError::permission_denied(format!("{method} is not allowed on {kind}"))
}

/// # Errors
/// 403 where objects of this kind are not to be read over `/v1`, or not by this caller.
pub(crate) fn check_readable(rights: &Rights, kind: &Kind) -> Result<(), ApiError> {
    if rights.may_read(kind) {
        Ok(())
    } else {
        Err(no_method("GET", &kind.id))
    }
}

/// An error in the form of this API (recorded/http/06, `GET /v1/namespaces/nosuch`).
pub(crate) fn error_body(error: &ApiError) -> serde_json::Value {
    let mut body = json!({
        "type": "error", "links": {}, "code": error.code,
        "message": error.message, "status": error.status.as_u16(),
    });
    if let Some(field) = &error.field_name {
        body["fieldName"] = json!(field);
    }
    body
}

impl Refused {
    /// The answer.
    pub(crate) fn respond(self, writer: &Writer) -> Response {
        let bare = |status: StatusCode| {
            let mut response = Response::new(drover_auth::web::empty());
            *response.status_mut() = status;
            response
        };
        match self {
            Self::NoType => bare(StatusCode::NOT_FOUND),
            Self::NoEntry => bare(StatusCode::UNAUTHORIZED),
            Self::Error(error) => {
                let mut response = writer.answer(error.status, &error_body(&error));
                if error.status.is_server_error() {
                    tracing::debug!(%error, "a request failed");
                }
                response
                    .headers_mut()
                    .entry(CONTENT_TYPE)
                    .or_insert(HeaderValue::from_static("application/json"));
                response
            }
        }
    }
}
