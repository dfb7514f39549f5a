//! Writes of the hub's objects in Kubernetes' form: the same as through `/v3`, by the same person, with the same checks.
//!
//! `/v1` hands over what the index of roles decides about. Each object becomes the fields of its type, and what they come
//! to is written; so nobody says by this way what the other refuses.
//!
//! Invariant: what was sent and would not be stored is refused by its name, never dropped. `status` is the server's.

mod fields;
mod provisioning;

use drover_api::keeper::{Change, Keeper, Place, Written};
use drover_auth::Identity;
use drover_auth::web::ApiError;
use drover_types::management::{GROUP, api_version};
use drover_types::names::CREATOR_LABEL;
use drover_types::provisioning::GROUP as PROVISIONING;
use futures::future::BoxFuture;
use http::{HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::{Api, write};
use crate::call::{Call, not_found};
use crate::crossed::until_settled;
use crate::kinds;
use crate::mapping::{self, Merge};
use crate::query::Query;
use crate::schema::{Base, Object, Type};
use crate::store::Store;
use crate::urls::Urls;
use crate::validate::{self, Operation};

const JSON: &str = "application/json";

/// Kinds of the hub that people write in Kubernetes' form; all others through `/v3` alone (reference api-v1 section 1.2,
/// "Blocked").
const WRITTEN: [&str; 9] = [
    "clusterroletemplatebindings",
    "features",
    "globalrolebindings",
    "globalroles",
    "podsecurityadmissionconfigurationtemplates",
    "projectroletemplatebindings",
    "projects",
    "settings",
    "users",
];

impl Keeper for Api {
    fn write<'a>(
        &'a self,
        identity: &'a Identity,
        place: Place<'a>,
        query: &'a str,
        change: Change,
    ) -> BoxFuture<'a, Result<Written, ApiError>> {
        Box::pin(async move {
            let call = Call {
                shared: &self.shared,
                identity: Some(identity),
                urls: Urls::new(String::new(), "", Vec::new()),
                query: Query::default(),
                now: self.shared.clock.now(),
                action_key: "actions",
            };
            let asked = Asked {
                call: &call,
                place,
                query,
            };
            if place.group == PROVISIONING && place.resource == "clusters" {
                return provisioning::write(&asked, change).await;
            }
            let mut kinds = self.shared.registry.documented(Base::Management);
            let found = kinds.find_map(|kind| {
                let object = kind.object.filter(|of| of.resource == place.resource)?;
                Some((kind, object))
            });
            match found {
                Some((kind, object))
                    if place.group == GROUP && WRITTEN.contains(&object.resource) =>
                {
                    asked.write(kind, object, change).await
                }
                Some(_) | None => Err(ApiError::permission_denied(format!(
                    "{} is not written here",
                    place.resource
                ))),
            }
        })
    }
}

/// One write of one person.
struct Asked<'a> {
    call: &'a Call<'a>,
    place: Place<'a>,
    /// Parameters of the request to the API server.
    query: &'a str,
}

impl Asked<'_> {
    fn store(&self) -> &Store {
        self.call.store()
    }

    /// Whether nothing is to be stored.
    fn is_dry(&self) -> bool {
        form_urlencoded::parse(self.query.as_bytes()).any(|(name, _)| name == "dryRun")
    }

    async fn write(
        &self,
        kind: &Type,
        object: Object,
        change: Change,
    ) -> Result<Written, ApiError> {
        let Place {
            namespace, name, ..
        } = self.place;
        let require = |verb| self.call.require(verb, object, namespace, Some(name));
        match change {
            Change::Create(sent) => self.create(kind, object, sent).await,
            Change::Replace(sent) => {
                require("update")?;
                let current = self.current(kind, object).await?;
                self.replace(kind, object, current, sent).await
            }
            Change::Patch { media_type, patch } => {
                // In effect it is a change of the whole.
                require("update").or_else(|_| require("patch"))?;
                self.patch(kind, object, &media_type, &patch).await
            }
            Change::Delete(options) => {
                require("delete")?;
                self.delete(kind, object, options).await
            }
        }
    }

    /// The object as it is.
    async fn current(&self, kind: &Type, object: Object) -> Result<Value, ApiError> {
        let Place {
            namespace, name, ..
        } = self.place;
        let found = self.store().find(object, namespace, name).await?;
        found
            .filter(|found| !kinds::is_hidden(kind, found))
            .ok_or_else(|| not_found(object, name))
    }

    async fn create(
        &self,
        kind: &Type,
        object: Object,
        sent: Map<String, Value>,
    ) -> Result<Written, ApiError> {
        let (call, registry) = (self.call, self.call.registry());
        let sent = Value::Object(sent);
        fields::check_kind(&sent, object.kind)?;
        let given = fields::of_new(registry, kind, &sent);
        let given = validate::fields(registry, kind, &given, Operation::Create)?;
        let (namespace, mut body) = write::drafted(call, kind, object, given).await?;
        if namespace.as_deref() != self.place.namespace {
            let place = namespace.unwrap_or_default();
            return Err(ApiError::invalid(
                "InvalidReference",
                format!("such an object lies in the namespace {place}"),
            )
            .with_field("metadata.namespace"));
        }
        let metadata = &mut body["metadata"];
        if let Some(labels) = metadata["labels"].as_object_mut() {
            labels.remove(CREATOR_LABEL);
        }
        let prefix = metadata_text(&sent, "generateName");
        if metadata.get("generateName").is_some() && !prefix.is_empty() {
            metadata["generateName"] = json!(prefix);
        }
        body["apiVersion"] = json!(api_version());
        body["kind"] = json!(object.kind);
        fields::check_kept(&sent, &body)?;
        if let Some(namespace) = namespace.as_deref().filter(|_| !self.is_dry()) {
            call.store().ensure_namespace(namespace).await?;
        }
        let mut written = self
            .store()
            .write(
                Method::POST,
                object,
                (self.place.namespace, None),
                self.query,
                (JSON, &encoded(&body)?),
            )
            .await?;
        if !self.is_dry() {
            written.object = kinds::after_create(call, kind, &Map::new(), written.object).await?;
            write::note(call, object, &mapping::id(kind, &written.object), "created");
        }
        Ok(written)
    }

    async fn replace(
        &self,
        kind: &Type,
        object: Object,
        current: Value,
        sent: Map<String, Value>,
    ) -> Result<Written, ApiError> {
        let (call, registry) = (self.call, self.call.registry());
        let sent = Value::Object(sent);
        fields::check_kind(&sent, object.kind)?;
        let revision = |of: &Value| metadata_text(of, "resourceVersion").to_owned();
        if revision(&sent) != revision(&current) {
            return Err(ApiError::conflict(format!(
                "Operation cannot be fulfilled on {}.{GROUP} \"{}\": the object has been modified; please apply your changes to the latest version and try again",
                object.resource, self.place.name
            )));
        }
        let given = fields::of_changed(registry, kind, &current, &sent);
        let given = validate::fields(registry, kind, &given, Operation::Update)?;
        let mut changed = given.clone();
        kinds::before_update(call, kind, &current, &mut changed).await?;
        // What a check makes of a value is no refusal; a value that it drops is one.
        let mut expected = current.clone();
        let kept = given
            .into_iter()
            .filter(|(name, _)| changed.contains_key(name));
        mapping::apply(registry, kind, &mut expected, &kept.collect(), Merge::Keep);
        fields::check_same(&sent, &expected)?;
        let mut body = current;
        mapping::apply(registry, kind, &mut body, &changed, Merge::Keep);
        let at = (self.place.namespace, Some(self.place.name));
        let written = self
            .store()
            .write(
                Method::PUT,
                object,
                at,
                self.query,
                (JSON, &encoded(&body)?),
            )
            .await?;
        if !self.is_dry() {
            write::note(call, object, &mapping::id(kind, &written.object), "updated");
            kinds::after_update(call, kind, &written.object).await;
        }
        Ok(written)
    }

    /// Asks the API server what the patch would make of the object, and writes that as a change of the whole.
    async fn patch(
        &self,
        kind: &Type,
        object: Object,
        media_type: &str,
        patch: &[u8],
    ) -> Result<Written, ApiError> {
        let query = as_dry(self.query);
        let at = (self.place.namespace, Some(self.place.name));
        until_settled(|| async {
            let current = self.current(kind, object).await?;
            let would = self
                .store()
                .write(Method::PATCH, object, at, &query, (media_type, patch))
                .await?;
            let (would, warnings) = read_at(would, &current)?;
            let written = self.replace(kind, object, current, would).await?;
            Ok(warned(written, warnings))
        })
        .await
    }

    async fn delete(
        &self,
        kind: &Type,
        object: Object,
        options: Vec<u8>,
    ) -> Result<Written, ApiError> {
        let current = self.current(kind, object).await?;
        kinds::before_delete(self.call, kind, &current).await?;
        let options = deletion(options)?;
        let at = (self.place.namespace, Some(self.place.name));
        let written = self
            .store()
            .write(Method::DELETE, object, at, self.query, (JSON, &options))
            .await?;
        if !self.is_dry() {
            write::note(self.call, object, &mapping::id(kind, &current), "deleted");
            kinds::after_delete(self.call, kind, &current).await;
        }
        Ok(written)
    }
}

/// A text of an object's metadata, empty if absent.
fn metadata_text<'a>(object: &'a Value, name: &str) -> &'a str {
    object
        .get("metadata")
        .and_then(|metadata| metadata.get(name))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// What a patch would make of an object, to be written as a change of what was read, and what was warned of.
fn read_at(
    would: Written,
    current: &Value,
) -> Result<(Map<String, Value>, Vec<HeaderValue>), ApiError> {
    let Value::Object(mut object) = would.object else {
        return Err(ApiError::server_error("a patch made no object"));
    };
    if let Some(metadata) = object.get_mut("metadata") {
        metadata["resourceVersion"] = json!(metadata_text(current, "resourceVersion"));
    }
    Ok((object, would.warnings))
}

/// The same with what was warned of before.
fn warned(mut written: Written, warnings: Vec<HeaderValue>) -> Written {
    for warning in warnings {
        if !written.warnings.contains(&warning) {
            written.warnings.push(warning);
        }
    }
    written
}

fn encoded(value: &Value) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(value).map_err(|error| ApiError::server_error(error.to_string()))
}

/// What is said of a deletion: that what the object owns goes in the background, unless something else was sent.
fn deletion(options: Vec<u8>) -> Result<Vec<u8>, ApiError> {
    if options.is_empty() {
        return encoded(&json!({
            "kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background",
        }));
    }
    Ok(options)
}

/// The same parameters for a request that stores nothing.
fn as_dry(query: &str) -> String {
    let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "dryRun");
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .append_pair("dryRun", "All")
        .finish()
}
