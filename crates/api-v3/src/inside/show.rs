//! What is shown of an object inside a cluster or project: fields, state, links, actions.

use drover_types::names::DESCRIPTION_ANNOTATION;
use serde_json::{Map, Value, json};

use super::{Inside, Place};
use crate::call::Item;
use crate::kinds::{form, secret, text};
use crate::mapping::{self, Reveal};
use crate::schema::{Type, Workload};
use crate::summary::{Fresh, summarize};
use crate::urls::segment;

impl Inside<'_> {
    pub(super) fn item(&self, object: &Value, reveal: Reveal) -> Item {
        let registry = self.call.registry();
        let kind = secret::shown_as(registry, self.kind, object);
        let mut item = mapping::to_resource(registry, kind, &form::view(kind, object), reveal);
        if kind.stateful {
            let summary = summarize(object, self.call.now, Fresh::Active);
            item.insert("state".to_owned(), json!(summary.state));
            item.insert("transitioning".to_owned(), json!(summary.progress()));
            item.insert("transitioningMessage".to_owned(), json!(summary.message()));
        }
        let name = mapping::name(object);
        match &self.place {
            Place::Cluster => {}
            Place::Project { .. } => {
                item.insert("namespaceId".to_owned(), json!(mapping::namespace(object)));
                item.insert("projectId".to_owned(), json!(self.context.id));
            }
            Place::Hub { project, .. } => {
                item.insert("id".to_owned(), json!(format!("{project}:{name}")));
                item.insert("projectId".to_owned(), json!(self.context.id));
            }
        }
        describe(object, &mut item);
        if kind.secret.is_some() {
            secret::amend(kind, object, reveal, &mut item);
        }
        form::amend(kind, object, self.call.now, &mut item);
        let links = self.links(kind, text(&item, "id"));
        item.insert("links".to_owned(), links);
        let actions = self.actions(kind, text(&item, "id"));
        if !actions.is_empty() {
            item.insert(self.call.action_key.to_owned(), Value::Object(actions));
        }
        item
    }

    /// Where a resource is; workloads are found under their common name.
    fn place_of(&self, kind: &Type, id: &str) -> String {
        let plural = match kind.workload {
            Some(Workload::Pod) | None => kind.plural(),
            Some(_) => "workloads".to_owned(),
        };
        format!("{}/{plural}/{}", self.base(), segment(id))
    }

    fn actions(&self, kind: &Type, id: &str) -> Map<String, Value> {
        let own = self.place_of(kind, id);
        let link = |name: &str| json!(format!("{own}?action={name}"));
        let actions = kind.actions.iter();
        actions
            .map(|action| (action.name.to_owned(), link(action.name)))
            .collect()
    }

    fn links(&self, kind: &Type, id: &str) -> Value {
        let own = self.place_of(kind, id);
        let mut links = json!({"self": own, "update": own, "remove": own});
        if kind.workload == Some(Workload::Deployment) {
            links["revisions"] = json!(format!("{own}/revisions"));
        }
        if matches!(self.place, Place::Project { .. }) {
            links["yaml"] = json!(format!("{own}/yaml"));
        }
        for other in self.call.registry().listed(kind.base) {
            let points = |field: &&crate::schema::Field| {
                // A path leads to another part of the API, whose links are not here.
                field.kind.to_string() == format!("reference[{}]", kind.id)
            };
            if let Some(field) = other.fields.iter().find(points) {
                let plural = other.plural();
                links[&plural] = json!(format!(
                    "{}/{plural}?{}={}",
                    self.base(),
                    field.name,
                    segment(id)
                ));
            }
        }
        links
    }
}

/// The description lies in an annotation.
fn describe(object: &Value, item: &mut Item) {
    let annotation = object
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(DESCRIPTION_ANNOTATION));
    if let Some(description) = annotation {
        item.insert("description".to_owned(), description.clone());
        if let Some(shown) = item.get_mut("annotations").and_then(Value::as_object_mut) {
            shown.remove(DESCRIPTION_ANNOTATION);
        }
    }
}
