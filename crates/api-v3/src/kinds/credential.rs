//! Cloud credentials: Secrets on the hub with the keys of somebody's account elsewhere.
//!
//! A Secret holds one configuration, as keys `<driver>credentialConfig-<field>` (reference section 2.1). Who made one may
//! read, change and remove it; others need rights to the Secret itself.
//!
//! Invariant: fields that are passwords are never shown, and of drivers that are not declared none is, because which of
//! theirs are passwords is not known.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_auth::Attributes;
use drover_auth::web::{self, ApiError, Response};
use drover_types::names::{
    CREATOR_ANNOTATION, CREATOR_LABEL, CREATOR_NORMAN, DESCRIPTION_ANNOTATION,
    GLOBAL_DATA_NAMESPACE,
};
use http::{Method, StatusCode, request};
use serde_json::{Map, Value, json};

use super::{text_at, unknown_action};
use crate::api::{list_answer, read};
use crate::call::{Call, Item, link_not_found, not_found, split_id};
use crate::collection::Extent;
use crate::encode::Writer;
use crate::inside::Asked;
use crate::mapping::{self, Merge, Reveal};
use crate::schema::Type;
use crate::store::Store;
use crate::validate::{self, Operation};

const NAME: &str = "field.cattle.io/name";
const CONFIG: &str = "credentialConfig";

/// One request for credentials.
struct Credentials<'a> {
    call: &'a Call<'a>,
    asked: &'a Asked<'a>,
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
    let all = Credentials {
        call,
        asked: &asked,
        store: Store::of_core(call.store().client().clone()),
    };
    if let Some(action) = call.query.get("action") {
        return Err(unknown_action(action));
    }
    if let Some(link) = asked.link {
        return Err(link_not_found(link));
    }
    let kind = asked.kind;
    match (asked.method, asked.id) {
        (&Method::GET, None) => {
            let items = all.list().await?;
            Ok(list_answer(call, writer, kind, Extent::Paged, items))
        }
        (&Method::POST, None) => {
            let item = all.create(read(parts, body).await?).await?;
            Ok(writer.answer(StatusCode::CREATED, &item))
        }
        (&Method::GET, Some(id)) => {
            let found = all.get(id, "get").await?;
            Ok(writer.answer(StatusCode::OK, &all.item(&found)))
        }
        (&Method::PUT, Some(id)) => {
            let mut object = all.get(id, "update").await?;
            let sent = read(parts, body).await?;
            let fields = all.fields(&sent, Operation::Update)?;
            write(kind, &fields, &mut object);
            let replaced = all.store.replace(asked.object, &object).await?;
            Ok(writer.answer(StatusCode::OK, &all.item(&replaced)))
        }
        (&Method::DELETE, Some(id)) => {
            let found = all.get(id, "delete").await?;
            let (namespace, name) = (mapping::namespace(&found), mapping::name(&found));
            all.store.delete(asked.object, namespace, name).await?;
            Ok(writer.empty(StatusCode::NO_CONTENT))
        }
        (method, _) => Err(ApiError::method_not_allowed(format!(
            "Method {method} not supported"
        ))),
    }
}

/// The configuration that a Secret holds.
fn config(object: &Value) -> Option<&str> {
    let data = object.get("data")?.as_object()?;
    data.keys().find_map(|key| {
        let (config, field) = key.split_once('-')?;
        (config.ends_with(CONFIG) && !field.is_empty()).then_some(config)
    })
}

fn is_config(name: &str, value: &Value) -> bool {
    name.len() > CONFIG.len() && name.ends_with(CONFIG) && value.is_object()
}

impl Credentials<'_> {
    fn require(
        &self,
        verb: &str,
        name: Option<&str>,
        object: Option<&Value>,
    ) -> Result<(), ApiError> {
        let identity = self.call.caller()?;
        let creator = object.map(|object| {
            let annotations = object.pointer("/metadata/annotations");
            annotations.and_then(|all| all.get(CREATOR_ANNOTATION)?.as_str())
        });
        if creator == Some(Some(self.call.user())) {
            return Ok(());
        }
        let attributes = Attributes {
            verb,
            group: "",
            resource: self.asked.object.resource,
            namespace: Some(GLOBAL_DATA_NAMESPACE),
            name,
        };
        let rights = &self.call.shared.rights;
        if rights.allows(identity, &attributes).is_allowed() {
            Ok(())
        } else {
            Err(attributes.forbidden(identity))
        }
    }

    async fn list(&self) -> Result<Vec<Item>, ApiError> {
        let namespace = Some(GLOBAL_DATA_NAMESPACE);
        let all = self.store.list(self.asked.object, namespace).await?;
        let visible = all.iter().filter(|object| {
            let name = Some(mapping::name(object));
            config(object).is_some() && self.require("get", name, Some(object)).is_ok()
        });
        Ok(visible.map(|object| self.item(object)).collect())
    }

    /// One credential the caller may use `verb` on; 403 for another's, whether it is there or not.
    async fn get(&self, id: &str, verb: &str) -> Result<Value, ApiError> {
        let (kind, object) = (self.asked.kind, self.asked.object);
        let (namespace, name) = split_id(kind, object, id)?;
        if namespace != Some(GLOBAL_DATA_NAMESPACE) {
            return Err(not_found(object, id));
        }
        let found = self.store.find(object, namespace, name).await?;
        let found = found.filter(|found| config(found).is_some());
        self.require(verb, Some(name), found.as_ref())?;
        found.ok_or_else(|| not_found(object, id))
    }

    /// What was sent, checked: the declared fields, and configurations of drivers that are not declared.
    fn fields(
        &self,
        sent: &Map<String, Value>,
        operation: Operation,
    ) -> Result<Map<String, Value>, ApiError> {
        let kind = self.asked.kind;
        let mut fields = validate::fields(self.call.registry(), kind, sent, operation)?;
        for (name, value) in sent {
            if is_config(name, value) && kind.field(name).is_none() {
                fields.insert(name.clone(), value.clone());
            }
        }
        Ok(fields)
    }

    async fn create(&self, sent: Map<String, Value>) -> Result<Item, ApiError> {
        self.require("create", None, None)?;
        let fields = self.fields(&sent, Operation::Create)?;
        if !fields.iter().any(|(name, value)| is_config(name, value)) {
            return Err(
                ApiError::invalid("MissingRequired", "a Config field must be set")
                    .with_field("s3credentialConfig"),
            );
        }
        let mut object = json!({
            "type": "Opaque",
            "metadata": {
                "generateName": self.asked.kind.name_prefix(),
                "namespace": GLOBAL_DATA_NAMESPACE,
            },
        });
        let registry = self.call.registry();
        mapping::apply(registry, self.asked.kind, &mut object, &fields, Merge::Keep);
        write(self.asked.kind, &fields, &mut object);
        object["metadata"]["labels"][CREATOR_LABEL] = json!(CREATOR_NORMAN);
        object["metadata"]["annotations"][CREATOR_ANNOTATION] = json!(self.call.user());
        let namespace = Some(GLOBAL_DATA_NAMESPACE);
        let made = self
            .store
            .create(self.asked.object, namespace, object)
            .await?;
        tracing::info!(user = %self.call.user(), name = mapping::name(&made), "a cloud credential was made");
        Ok(self.item(&made))
    }

    fn item(&self, object: &Value) -> Item {
        let (call, kind) = (self.call, self.asked.kind);
        let registry = call.registry();
        let mut item = mapping::to_resource(registry, kind, object, Reveal::No);
        for (field, key) in [("name", NAME), ("description", DESCRIPTION_ANNOTATION)] {
            let annotations = object.pointer("/metadata/annotations");
            if let Some(value) = annotations.and_then(|all| all.get(key)) {
                item.insert(field.to_owned(), value.clone());
            }
            if let Some(shown) = item.get_mut("annotations").and_then(Value::as_object_mut) {
                shown.remove(key);
            }
        }
        if text_at(&Value::Object(item.clone()), "/name").is_empty() {
            item.insert("name".to_owned(), item["id"].clone());
        }
        if let Some(name) = config(object) {
            item.insert(name.to_owned(), shown(registry, kind, object, name));
        }
        let own = call
            .urls
            .resource(kind, item["id"].as_str().unwrap_or_default());
        let mut links = json!({ "self": own });
        for (verb, link) in [("update", "update"), ("delete", "remove")] {
            let name = Some(mapping::name(object));
            if self.require(verb, name, Some(object)).is_ok() {
                links[link] = json!(own);
            }
        }
        item.insert("links".to_owned(), links);
        item
    }
}

/// A configuration without what nobody is to read.
fn shown(registry: &crate::registry::Registry, kind: &Type, object: &Value, name: &str) -> Value {
    let part = kind
        .field(name)
        .and_then(|field| registry.get(&field.kind.to_string()));
    let mut shown = Map::new();
    for field in part.into_iter().flat_map(|part| &part.fields) {
        let value = object["data"][format!("{name}-{}", field.name)]
            .as_str()
            .and_then(|text| STANDARD.decode(text).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(value) = value.filter(|_| field.kind != crate::schema::FieldType::Password) {
            shown.insert(field.name.to_owned(), json!(value));
        }
    }
    Value::Object(shown)
}

/// Writes what is not where the mapping puts it: name and description in annotations, configurations in the data.
/// A field that is not sent stays as it was, so that what is never shown need not be sent again.
fn write(kind: &Type, fields: &Map<String, Value>, object: &mut Value) {
    debug_assert_eq!(kind.id, "cloudCredential");
    for (field, key) in [("name", NAME), ("description", DESCRIPTION_ANNOTATION)] {
        if let Some(text) = fields.get(field).and_then(Value::as_str) {
            object["metadata"]["annotations"][key] = json!(text);
        }
    }
    for (name, value) in fields.iter().filter(|(name, value)| is_config(name, value)) {
        for (field, value) in value.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Null => continue,
                other => other.to_string(),
            };
            object["data"][format!("{name}-{field}")] = json!(STANDARD.encode(text));
        }
    }
}
