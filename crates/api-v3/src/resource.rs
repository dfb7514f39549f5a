//! Objects as resources: fields, state, links and actions together.

use drover_auth::web::ApiError;
use serde_json::{Map, Value, json};

use crate::call::{Call, Item};
use crate::kinds;
use crate::mapping::{self, Reveal};
use crate::registry::Registry;
use crate::schema::{Base, Behaviour, Object, Type};
use crate::summary::{Fresh, summarize};
use crate::urls::Urls;

/// Turns objects of a kind into resources, in order.
pub(crate) async fn present(
    call: &Call<'_>,
    kind: &Type,
    mut objects: Vec<Value>,
    reveal: Reveal,
) -> Result<Vec<Item>, ApiError> {
    kinds::complete(call, kind, &mut objects).await?;
    Ok(objects
        .iter()
        .map(|object| item(call, kind, object, reveal))
        .collect())
}

/// One object as a resource.
pub(crate) async fn present_one(
    call: &Call<'_>,
    kind: &Type,
    object: Value,
    reveal: Reveal,
) -> Result<Item, ApiError> {
    let mut items = present(call, kind, vec![object], reveal).await?;
    items
        .pop()
        .ok_or_else(|| ApiError::server_error("an object was lost on the way"))
}

fn item(call: &Call<'_>, kind: &Type, object: &Value, reveal: Reveal) -> Item {
    let kind = kinds::shown_as(call, kind, object);
    let mut item = mapping::to_resource(call.registry(), kind, object, reveal);
    if kind.stateful {
        let summary = summarize(object, call.now, Fresh::Active);
        item.insert("state".to_owned(), json!(summary.state));
        item.insert("transitioning".to_owned(), json!(summary.progress()));
        item.insert("transitioningMessage".to_owned(), json!(summary.message()));
    }
    kinds::amend(call, kind, object, &mut item);
    let id = item
        .get("id")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let links = links(call, kind, object, &id);
    item.insert("links".to_owned(), Value::Object(links));
    let actions = actions(call, kind, object, &id);
    if !actions.is_empty() {
        item.insert(call.action_key.to_owned(), Value::Object(actions));
    }
    item
}

/// Links of a resource without an object behind it.
pub(crate) fn self_link(call: &Call<'_>, kind: &Type, id: &str) -> Value {
    json!({"self": call.urls.resource(kind, id)})
}

fn links(call: &Call<'_>, kind: &Type, value: &Value, id: &str) -> Map<String, Value> {
    let own = call.urls.resource(kind, id);
    let mut links = Map::new();
    links.insert("self".to_owned(), json!(own));
    if let Some(object) = kind.object {
        for (method, verb, name) in [("PUT", "update", "update"), ("DELETE", "delete", "remove")] {
            if kind.resource_methods.contains(&method)
                && kinds::offers(call, kind, value, method)
                && may_change(call, kind, object, value, verb)
            {
                links.insert(name.to_owned(), json!(own));
            }
        }
    }
    match kind.behaviour {
        Behaviour::Cluster => {
            below(call, Base::Cluster, kind, &own, &mut links);
            links.insert(
                "shell".to_owned(),
                json!(drover_api::urls::websocket(&format!("{own}?shell=true"))),
            );
        }
        Behaviour::Project => below(call, Base::Project, kind, &own, &mut links),
        Behaviour::Principal => {}
        _ => {
            for (other, field) in call.registry().referring(kind.id) {
                let plural = other.plural();
                let query = form_urlencoded::Serializer::new(String::new())
                    .append_pair(field.name, id)
                    .finish();
                links.insert(
                    plural.clone(),
                    json!(call.urls.absolute(&format!("/v3/{plural}?{query}"))),
                );
            }
        }
    }
    links
}

/// Links to what is listed below a cluster or project.
fn below(call: &Call<'_>, base: Base, kind: &Type, own: &str, links: &mut Map<String, Value>) {
    let referring = call.registry().referring(kind.id).map(|(other, _)| other);
    for other in call.registry().listed(base).chain(referring) {
        let plural = other.plural();
        links.insert(
            plural.clone(),
            json!(format!("{own}/{}", plural.to_ascii_lowercase())),
        );
    }
    links.insert("subscribe".to_owned(), json!(format!("{own}/subscribe")));
}

/// Whether the caller may change this object, by right or because it is its own.
pub(crate) fn may_change(
    call: &Call<'_>,
    kind: &Type,
    object: Object,
    value: &Value,
    verb: &str,
) -> bool {
    kinds::may_change_own(call, kind, value, verb)
        || call.may(
            verb,
            object,
            mapping::namespace(value),
            Some(mapping::name(value)),
        )
}

fn actions(call: &Call<'_>, kind: &Type, value: &Value, id: &str) -> Map<String, Value> {
    let own = call.urls.resource(kind, id);
    kind.actions
        .iter()
        .filter(|action| kinds::offers_action(call, kind, value, action.name))
        .map(|action| {
            (
                action.name.to_owned(),
                json!(format!("{own}?action={}", action.name)),
            )
        })
        .collect()
}

/// The actions of a collection.
pub(crate) fn collection_actions(call: &Call<'_>, kind: &Type) -> Map<String, Value> {
    let own = call.urls.collection(kind);
    kind.collection_actions
        .iter()
        .filter(|action| kinds::offers_collection_action(call, kind, action.name))
        .map(|action| {
            (
                action.name.to_owned(),
                json!(format!("{own}?action={}", action.name)),
            )
        })
        .collect()
}

/// The root document of an API.
pub(crate) fn api_root(registry: &Registry, urls: &Urls, base: Option<Base>) -> Item {
    let (version, path) = match base {
        None => (
            json!({"group": "meta.cattle.io", "path": "/meta", "version": "v1"}),
            "/meta",
        ),
        Some(base) => (
            json!({"group": base.group(), "path": base.path(), "version": "v3"}),
            base.path(),
        ),
    };
    let root = urls.absolute(path);
    let mut links = Map::new();
    for name in ["root", "self"] {
        links.insert(name.to_owned(), json!(root));
    }
    links.insert("subscribe".to_owned(), json!(format!("{root}/subscribe")));
    match base {
        None => {
            links.insert("apiRoots".to_owned(), json!(format!("{root}/apiroots")));
            links.insert("schemas".to_owned(), json!(format!("{root}/schemas")));
        }
        Some(base) => {
            for kind in registry.listed(base) {
                let plural = kind.plural();
                links.insert(
                    plural.clone(),
                    json!(format!("{root}/{}", plural.to_ascii_lowercase())),
                );
            }
        }
    }
    let mut item = Map::new();
    item.insert("type".to_owned(), json!("apiRoot"));
    item.insert("baseType".to_owned(), json!("apiRoot"));
    item.insert("apiVersion".to_owned(), version);
    item.insert("links".to_owned(), Value::Object(links));
    item
}
