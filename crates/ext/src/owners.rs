//! Who owns which field of tokens and kubeconfigs: `metadata.managedFields`, and server-side apply.
//!
//! Owns the structure of the kinds, as far as ownership asks for it; what ownership comes to is decided by
//! `drover_structural`. The owners are kept beside what is kept of the object. Of a session's activity, which is part
//! of something else, nobody's fields are remembered.
//!
//! Invariant: status is nobody's; it cannot be written.

use std::sync::OnceLock;

use drover_auth::web::ApiError;
use drover_structural::field_set::FieldSet;
use drover_structural::managed_fields::{self, ApplyError, Conflict};
use drover_structural::{Schema, prune};
use serde_json::{Value, json};

use crate::request::{Sent, changed};
use crate::{Call, GROUP, VERSION, bad_request};

/// What an object is to become.
pub(crate) enum Wanted {
    /// This, with its owners.
    This(Value),
    /// What is applied changes fields of others.
    Conflicts(Vec<Conflict>),
}

/// The structure of a kind: of its `spec`; the rest is the same for all.
fn schema(kind: &str) -> Result<&'static Schema, ApiError> {
    static TOKEN: OnceLock<Schema> = OnceLock::new();
    static KUBECONFIG: OnceLock<Schema> = OnceLock::new();
    let text = || json!({"type": "string"});
    let (parsed, spec) = if kind == "Token" {
        let spec = json!({
            "clusterName": text(), "description": text(), "enabled": {"type": "boolean"}, "kind": text(),
            "ttl": {"type": "integer"}, "userID": text(),
            "userPrincipal": {
                "type": "object", "x-kubernetes-map-type": "atomic", "x-kubernetes-preserve-unknown-fields": true,
            },
        });
        (&TOKEN, spec)
    } else {
        let spec = json!({
            "clusters": {"type": "array", "x-kubernetes-list-type": "atomic", "items": text()},
            "currentContext": text(), "description": text(), "includeDefaultEntry": {"type": "boolean"},
            "ttl": {"type": "integer"},
        });
        (&KUBECONFIG, spec)
    };
    if let Some(known) = parsed.get() {
        return Ok(known);
    }
    let whole = json!({"type": "object", "properties": {
        "spec": {"type": "object", "properties": spec},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    let schema = Schema::from_crd(&whole).map_err(|error| {
        tracing::error!(%error, %kind, "the structure of a kind cannot be read");
        ApiError::server_error("the structure of the kind is not known")
    })?;
    Ok(parsed.get_or_init(|| schema))
}

/// The owners that an object names.
pub(crate) fn owners_of(object: &Value) -> Value {
    object["metadata"]["managedFields"].clone()
}

impl Call<'_> {
    /// Runs `act` with what ownership is decided by.
    fn owning<T>(
        &self,
        kind: &str,
        act: impl FnOnce(&managed_fields::Request<'_>) -> T,
    ) -> Result<T, ApiError> {
        let status = FieldSet::of_fields(&[&["status"]]);
        Ok(act(&managed_fields::Request {
            schema: schema(kind)?,
            api_version: &format!("{GROUP}/{VERSION}"),
            subresource: "",
            manager: &self.asked.manager,
            reset: Some(&status),
            blank: None,
            versions: None,
            now: self.parts.clock.now(),
        }))
    }

    /// The owners of an object that is made.
    pub(crate) fn first_owners(&self, kind: &str, sent: &Value) -> Result<Value, ApiError> {
        let mut object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind, "metadata": {}, "spec": {},
        });
        for place in ["labels", "annotations", "generateName"] {
            if let Some(value) = sent["metadata"].get(place) {
                object["metadata"][place] = value.clone();
            }
        }
        if let Some(spec @ Value::Object(_)) = sent.get("spec") {
            object["spec"] = spec.clone();
        }
        prune::prune(&mut object, schema(kind)?);
        self.owning(kind, |request| {
            managed_fields::update(None, &mut object, request);
        })?;
        Ok(owners_of(&object))
    }

    /// What `before` is to become, and who owns what of it then.
    ///
    /// # Errors
    /// 400, 413 and 422 for changes that are none or do not fit.
    pub(crate) fn wanted(
        &self,
        kind: &str,
        before: &Value,
        sent: Sent,
    ) -> Result<Wanted, ApiError> {
        let config = match sent {
            Sent::Applied(config) => config,
            other => {
                let mut wanted = changed(before, other)?;
                prune::prune(&mut wanted, schema(kind)?);
                self.owning(kind, |request| {
                    managed_fields::update(Some(before), &mut wanted, request);
                })?;
                return Ok(Wanted::This(wanted));
            }
        };
        self.check_applied(kind, &config)?;
        let force = self.asked.force;
        let applied = self.owning(kind, |request| {
            managed_fields::apply(Some(before), &config, request, force)
        })?;
        match applied {
            Ok(applied) => Ok(Wanted::This(applied.object)),
            Err(ApplyError::Conflict(conflicts)) => Ok(Wanted::Conflicts(conflicts)),
            Err(error) => Err(bad_request(error.to_string())),
        }
    }

    /// Whether what is applied is an object of the kind, and of the name that is asked for.
    pub(crate) fn check_applied(&self, kind: &str, config: &Value) -> Result<(), ApiError> {
        let version = format!("{GROUP}/{VERSION}");
        if config["apiVersion"] != version.as_str() || config["kind"] != kind {
            return Err(bad_request(format!(
                "apiVersion and kind must be {version} and {kind}"
            )));
        }
        let asked = self.asked.name.as_deref().unwrap_or_default();
        match config["metadata"].get("name") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::String(name)) if name == asked => Ok(()),
            Some(name) => Err(bad_request(format!(
                "metadata.name: the name of the object ({name}) does not match the name on the URL ({asked})"
            ))),
        }
    }
}
