//! `serviceaccounts/token`: a token on request.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};

use super::tokens::{self, Binding};
use crate::admission::{CallOf, Operation};
use crate::clock::seconds;
use crate::registry::{Action, Call, Gvk, Reply, Resource};
use crate::rest::object::{meta, metadata_mut, strings};
use crate::rest::{Api, Context, structure};
use crate::status::{FieldError, StatusError};
use crate::store::Key;

/// Seconds a token lives if the request does not say.
const DEFAULT_SECONDS: i64 = 3600;
/// The shortest and longest life that may be asked for.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// The action behind `serviceaccounts/token`.
#[derive(Debug)]
pub(crate) struct TokenRequests {
    /// The kind of the body.
    kind: Resource,
}

impl TokenRequests {
    pub(crate) fn new(kind: Resource) -> Self {
        Self { kind }
    }

    fn invalid(&self, name: &str, error: FieldError) -> StatusError {
        StatusError::invalid(&self.kind.group, &self.kind.kind, name, &[error])
    }

    fn respond(&self, api: &Arc<Api>, cx: &Context, call: Call) -> Result<Reply, StatusError> {
        let (namespace, name, resource) = (call.namespace, call.name, call.resource);
        let mut asked = call.body;
        self.begin(cx, &mut asked);
        let admitted = CallOf {
            operation: Operation::Create,
            resource: &resource,
            form: &self.kind,
            subresource: "token",
            namespace: &namespace,
            name: &name,
        };
        admitted.mutate(api, cx, &mut asked)?;
        self.check_names(&asked, &namespace, &name)?;
        let uid = tokens::uid_of(api, "/serviceaccounts", &namespace, &name)
            .ok_or_else(|| StatusError::not_found("", "serviceaccounts", &name))?;
        let named = meta(&asked, "uid");
        if !named.is_empty() && named != uid {
            let why = format!(
                "the UID in the token request ({named}) does not match the UID of the service account ({uid})"
            );
            let (group, kind) = (&self.kind.group, &self.kind.kind);
            return Err(StatusError::conflict(group, kind, &name, &why));
        }
        let lifetime = asked["spec"]["expirationSeconds"]
            .as_i64()
            .unwrap_or(DEFAULT_SECONDS);
        self.check_lifetime(lifetime)?;
        let mut audiences = strings(&asked["spec"], "audiences");
        if audiences.is_empty() {
            audiences.push(tokens::ISSUER.to_owned());
            asked["spec"]["audiences"] = json!(audiences);
        }
        let metadata = metadata_mut(&mut asked);
        for (field, value) in [
            ("name", name.clone()),
            ("namespace", namespace.clone()),
            ("uid", uid.clone()),
            ("creationTimestamp", seconds(cx.now)),
        ] {
            metadata.insert(field.to_owned(), value.into());
        }
        admitted.validate(api, cx, &asked)?;
        let object = match asked["spec"].get("boundObjectRef") {
            None | Some(Value::Null) => None,
            Some(reference) => Some(bound_object(api, &namespace, &name, reference)?),
        };
        let binding = Binding {
            namespace: &namespace,
            name: &name,
            uid: &uid,
            audiences,
            object,
            seconds: lifetime,
        };
        let (token, end) = tokens::issue(api, binding).map_err(StatusError::internal)?;
        asked["status"] = json!({"token": token, "expirationTimestamp": seconds(end)});
        Ok(Reply {
            code: StatusCode::CREATED,
            object: asked,
        })
    }

    /// What any object goes through before its kind looks at it.
    fn begin(&self, cx: &Context, asked: &mut Value) {
        let metadata = metadata_mut(asked);
        metadata.remove("resourceVersion");
        metadata.remove("creationTimestamp");
        if !asked["spec"].is_object() {
            asked["spec"] = json!({});
        }
        if asked["spec"]["expirationSeconds"].is_null() {
            asked["spec"]["expirationSeconds"] = json!(DEFAULT_SECONDS);
        }
        self.kind.strategy.default(asked);
        structure::track_update(&self.kind, cx, "token", asked, None);
    }

    fn check_names(&self, asked: &Value, namespace: &str, name: &str) -> Result<(), StatusError> {
        for (field, wanted, detail) in [
            (
                "name",
                name,
                "must match the service account name if specified",
            ),
            (
                "namespace",
                namespace,
                "must match the service account namespace if specified",
            ),
        ] {
            let said = meta(asked, field);
            if !said.is_empty() && said != wanted {
                let error = FieldError::invalid(format!("metadata.{field}"), said, detail);
                return Err(self.invalid(name, error));
            }
        }
        Ok(())
    }

    fn check_lifetime(&self, lifetime: i64) -> Result<(), StatusError> {
        let detail = if lifetime < SHORTEST {
            "may not specify a duration less than 10 minutes"
        } else if lifetime > LONGEST {
            "may not specify a duration larger than 2^32 seconds"
        } else {
            return Ok(());
        };
        let error = FieldError::invalid("spec.expirationSeconds", lifetime, detail);
        Err(self.invalid("", error))
    }
}

impl Action for TokenRequests {
    fn body(&self) -> Option<&Resource> {
        Some(&self.kind)
    }

    fn gvk(&self) -> Gvk {
        Gvk::new(&self.kind.group, &self.kind.version, &self.kind.kind)
    }

    fn verbs(&self) -> &'static [&'static str] {
        &["create"]
    }

    fn call<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a Context,
        call: Call,
    ) -> BoxFuture<'a, Result<Reply, StatusError>> {
        async move { self.respond(api, cx, call) }.boxed()
    }
}

/// The object a token is bound to: its member among the claims, its name and uid.
fn bound_object(
    api: &Api,
    namespace: &str,
    account: &str,
    reference: &Value,
) -> Result<(&'static str, String, String), StatusError> {
    let text = |member: &str| reference[member].as_str().unwrap_or_default().to_owned();
    let (version, named_kind) = (text("apiVersion"), text("kind"));
    let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
    let (kind, table, plural, home) = match (group, &*named_kind) {
        ("", "Pod") => ("pod", "/pods", "pods", namespace),
        ("", "Secret") => ("secret", "/secrets", "secrets", namespace),
        ("", "Node") => ("node", "/nodes", "nodes", ""),
        _ => {
            return Err(StatusError::bad_request(format!(
                "cannot bind token to object of type {group}/{version}, Kind={named_kind}"
            )));
        }
    };
    let (name, wanted) = (text("name"), text("uid"));
    let stored = api
        .store
        .get(table, &Key::new(home, &name))
        .ok_or_else(|| StatusError::not_found("", plural, &name))?
        .value();
    if kind == "pod" {
        let runs_as = stored.pointer("/spec/serviceAccountName");
        if runs_as.and_then(Value::as_str).unwrap_or("default") != account {
            return Err(StatusError::bad_request(format!(
                "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
            )));
        }
    }
    let uid = meta(&stored, "uid");
    if !wanted.is_empty() && wanted != uid {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(StatusError::conflict("", &named_kind, &name, &why));
    }
    Ok((kind, name, uid.to_owned()))
}
