//! Making, changing and removing objects inside a cluster or project.

use drover_auth::web::ApiError;
use drover_types::names::{
    CREATOR_ANNOTATION, CREATOR_LABEL, CREATOR_NORMAN, DESCRIPTION_ANNOTATION,
};
use serde_json::{Map, Value, json};

use super::{Inside, Place};
use crate::call::Item;
use crate::crossed::until_settled;
use crate::kinds::{cluster, form, secret, text};
use crate::mapping::{self, Merge, Reveal};
use crate::schema::Base;
use crate::validate::{self, Operation};

impl Inside<'_> {
    pub(super) async fn create(&self, mut sent: Map<String, Value>) -> Result<Item, ApiError> {
        let registry = self.call.registry();
        if self.kind.base == Base::Project {
            self.check_project(&sent)?;
            sent.insert("projectId".to_owned(), json!(self.context.id));
        }
        let fields = validate::fields(registry, self.kind, &sent, Operation::Create)?;
        let namespace = match &self.place {
            Place::Cluster => None,
            Place::Hub { backing, .. } => {
                self.may("create", None)?;
                self.call.store().ensure_namespace(backing).await?;
                Some(backing.clone())
            }
            Place::Project { .. } => {
                let name = text(&fields, "namespaceId");
                if !self.is_own(name).await? {
                    return Err(ApiError::invalid(
                        "InvalidReference",
                        format!(
                            "the namespace {name} is not of the project {}",
                            self.context.id
                        ),
                    )
                    .with_field("namespaceId"));
                }
                Some(name.to_owned())
            }
        };
        let mut object = json!({});
        if let Some(namespace) = &namespace {
            object["metadata"]["namespace"] = json!(namespace);
        }
        self.apply(&mut object, &fields, Merge::Keep)?;
        self.write(&mut object, &fields, Operation::Create)?;
        if mapping::name(&object).is_empty() {
            object["metadata"]["generateName"] = json!(self.kind.name_prefix());
        }
        form::begin(self.kind, &sent, &mut object);
        self.aim(&mut object).await?;
        self.find_pull_secrets(None, &mut object).await?;
        object["metadata"]["labels"][CREATOR_LABEL] = json!(CREATOR_NORMAN);
        object["metadata"]["annotations"][CREATOR_ANNOTATION] = json!(self.call.user());
        let created = self
            .store
            .create(self.object, namespace.as_deref(), object)
            .await?;
        if let Err(error) = self.provide(None, &created).await {
            self.take_back(&created).await;
            return Err(error);
        }
        Ok(self.item(&created, Reveal::Once))
    }

    /// Writes the fields that lie in the object itself.
    fn apply(
        &self,
        object: &mut Value,
        fields: &Map<String, Value>,
        merge: Merge,
    ) -> Result<(), ApiError> {
        let registry = self.call.registry();
        let mut view = form::view(self.kind, object).into_owned();
        mapping::apply(registry, self.kind, &mut view, fields, merge);
        form::store(self.kind, view, object)
    }

    /// A project named in the body must be the one in the path.
    fn check_project(&self, sent: &Map<String, Value>) -> Result<(), ApiError> {
        match text(sent, "projectId") {
            "" => Ok(()),
            id if id == self.context.id => Ok(()),
            id => {
                cluster::split_project(self.call, id)?;
                Err(ApiError::invalid(
                    "InvalidReference",
                    format!("it is not the project {} of the path", self.context.id),
                )
                .with_field("projectId"))
            }
        }
    }

    /// Writes the fields that lie in annotations and in a Secret's data.
    fn write(
        &self,
        object: &mut Value,
        fields: &Map<String, Value>,
        operation: Operation,
    ) -> Result<(), ApiError> {
        if let Some(description) = fields.get("description") {
            match description.as_str().filter(|text| !text.is_empty()) {
                Some(text) => {
                    object["metadata"]["annotations"][DESCRIPTION_ANNOTATION] = json!(text);
                }
                None => remove_annotation(object, DESCRIPTION_ANNOTATION),
            }
        }
        secret::store(self.kind, object, fields, operation)
    }

    pub(super) async fn update(
        &self,
        id: &str,
        sent: &Map<String, Value>,
    ) -> Result<Item, ApiError> {
        let registry = self.call.registry();
        let fields = validate::fields(registry, self.kind, sent, Operation::Update)?;
        let merge = if self.call.query.is_set("_replace") {
            Merge::Clear
        } else {
            Merge::Keep
        };
        let (before, updated) = until_settled(|| async {
            let before = self.get(id, "update").await?;
            let mut object = before.clone();
            self.apply(&mut object, &fields, merge)?;
            self.write(&mut object, &fields, Operation::Update)?;
            self.aim(&mut object).await?;
            self.find_pull_secrets(Some(&before), &mut object).await?;
            let updated = self.store.replace(self.object, &object).await?;
            Ok((before, updated))
        })
        .await?;
        self.provide(Some(&before), &updated).await?;
        Ok(self.item(&updated, Reveal::No))
    }

    /// Removes an object; gives what is left of it while it goes.
    pub(super) async fn delete(&self, id: &str) -> Result<Option<Value>, ApiError> {
        let found = self.get(id, "delete").await?;
        let (namespace, name) = (mapping::namespace(&found), mapping::name(&found));
        self.store.delete(self.object, namespace, name).await?;
        let left = self.store.find(self.object, namespace, name).await?;
        Ok(left.filter(|left| left.pointer("/metadata/uid") == found.pointer("/metadata/uid")))
    }
}

fn remove_annotation(object: &mut Value, key: &str) {
    let annotations = object.pointer_mut("/metadata/annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(key);
    }
}
