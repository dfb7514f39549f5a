//! `serviceaccounts/token`: a token on request.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::StatusCode;
use serde_json::{Value, json};

use super::tokens::{self, Binding};
use crate::clock::seconds;
use crate::registry::{Action, Call, Gvk, Reply};
use crate::rest::object::strings;
use crate::rest::{Api, Context};
use crate::status::{FieldError, StatusError};

/// Seconds a token lives if the request does not say.
const DEFAULT_SECONDS: i64 = 3600;
/// The shortest and longest life that may be asked for.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;

/// The action behind `serviceaccounts/token`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenRequests;

impl Action for TokenRequests {
    fn gvk(&self) -> Gvk {
        Gvk::new("authentication.k8s.io", "v1", "TokenRequest")
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
        async move { respond(api, cx, call) }.boxed()
    }
}

fn respond(api: &Api, cx: &Context, call: Call) -> Result<Reply, StatusError> {
    let (namespace, name) = (call.namespace, call.name);
    let uid = tokens::uid_of(api, "/serviceaccounts", &namespace, &name)
        .ok_or_else(|| StatusError::not_found("", "serviceaccounts", &name))?;
    let mut body = call.body;
    let spec = &body["spec"];
    let lifetime = spec["expirationSeconds"]
        .as_i64()
        .unwrap_or(DEFAULT_SECONDS);
    let invalid = |error: FieldError| {
        StatusError::invalid("authentication.k8s.io", "TokenRequest", &name, &[error])
    };
    if lifetime < SHORTEST {
        let detail = "may not specify a duration less than 10 minutes";
        return Err(invalid(FieldError::invalid(
            "spec.expirationSeconds",
            lifetime,
            detail,
        )));
    }
    if lifetime > LONGEST {
        let detail = "may not specify a duration larger than 2^32 seconds";
        return Err(invalid(FieldError::invalid(
            "spec.expirationSeconds",
            lifetime,
            detail,
        )));
    }
    let audiences = strings(spec, "audiences");
    let object = match spec
        .get("boundObjectRef")
        .filter(|reference| !reference.is_null())
    {
        None => None,
        Some(reference) => Some(bound_object(api, &namespace, &name, reference)?),
    };
    let shown = if audiences.is_empty() {
        vec![tokens::ISSUER.to_owned()]
    } else {
        audiences.clone()
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
    let bound = body["spec"]
        .get("boundObjectRef")
        .cloned()
        .unwrap_or(Value::Null);
    body = json!({
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": seconds(cx.now)},
        "spec": {"audiences": shown, "expirationSeconds": lifetime, "boundObjectRef": bound},
        "status": {"token": token, "expirationTimestamp": seconds(end)},
    });
    Ok(Reply {
        code: StatusCode::CREATED,
        object: body,
    })
}

fn bound_object(
    api: &Api,
    namespace: &str,
    account: &str,
    reference: &Value,
) -> Result<(&'static str, String, String), StatusError> {
    let text = |member: &str| reference[member].as_str().unwrap_or_default().to_owned();
    let (kind, table, plural, home) = match (&*text("apiVersion"), &*text("kind")) {
        ("v1", "Pod") => ("pod", "/pods", "pods", namespace),
        ("v1", "Secret") => ("secret", "/secrets", "secrets", namespace),
        ("v1", "Node") => ("node", "/nodes", "nodes", ""),
        _ => {
            return Err(StatusError::bad_request(
                "cannot bind token for unsupported object kind",
            ));
        }
    };
    let (name, wanted) = (text("name"), text("uid"));
    let uid = tokens::uid_of(api, table, home, &name)
        .ok_or_else(|| StatusError::not_found("", plural, &name))?;
    if !wanted.is_empty() && wanted != uid {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(StatusError::conflict("", plural, &name, &why));
    }
    if kind == "pod" {
        let pod = api
            .store
            .get(table, &crate::store::Key::new(home, &name))
            .map(|stored| stored.value());
        let runs_as = pod
            .as_ref()
            .and_then(|pod| pod.pointer("/spec/serviceAccountName"))
            .and_then(Value::as_str)
            .unwrap_or("default");
        if runs_as != account {
            return Err(StatusError::bad_request(format!(
                "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
            )));
        }
    }
    Ok((kind, name, uid))
}
