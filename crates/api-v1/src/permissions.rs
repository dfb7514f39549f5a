//! `checkPermissions`: what a caller may do with other kinds where an object's own objects lie, such as the members of a
//! project in its namespace.

use drover_auth::web::ApiError;
use drover_types::management::GROUP;
use serde_json::{Map, Value, json};

use crate::cache::Entry;
use crate::call::Call;
use crate::format::text;
use crate::kind::Kind;
use crate::rights::{Rights, is_withheld};

/// Verbs that are told of.
const VERBS: [&str; 7] = [
    "create", "update", "delete", "list", "get", "watch", "patch",
];
/// Kinds that are asked about at once.
const MOST: usize = 50;

/// The kinds a request asks about, each by the name it asks for.
#[derive(Default)]
pub(crate) struct Permissions {
    asked: bool,
    kinds: Vec<(String, Kind)>,
}

impl Permissions {
    /// What is asked for is asked once for all objects of an answer. Kinds that are not there are left out.
    ///
    /// # Errors
    /// When the cluster does not tell its kinds; 422 for too many.
    pub(crate) async fn asked(call: &Call) -> Result<Self, ApiError> {
        let Some(names) = call.pairs.get("checkPermissions") else {
            return Ok(Self::default());
        };
        let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
        if names.len() > MOST {
            let message = format!("checkPermissions names more than {MOST} types");
            return Err(ApiError::invalid_body(message).with_field("checkPermissions"));
        }
        let mut kinds = Vec::new();
        for name in names {
            let found = call.shared.catalogs.find(&call.cluster, name).await?;
            if let Some(kind) = found.filter(|kind| !is_withheld(kind)) {
                kinds.push((name.to_owned(), kind));
            }
        }
        Ok(Self { asked: true, kinds })
    }

    /// Adds `resourcePermissions` to an object: for each kind its verbs, with where they are done.
    pub(crate) fn add(
        &self,
        call: &Call,
        rights: &Rights,
        entry: &Entry,
        shown: &mut Map<String, Value>,
    ) {
        if !self.asked {
            return;
        }
        let namespace = namespace_of(&entry.object(), &entry.id);
        let mut permissions = Map::new();
        for (name, kind) in &self.kinds {
            let url = url(call, kind, &namespace);
            let given: Map<String, Value> = VERBS
                .iter()
                .filter(|verb| rights.may(verb, kind, Some(&namespace), None))
                .map(|verb| ((*verb).to_owned(), json!(url)))
                .collect();
            if !given.is_empty() {
                permissions.insert(name.clone(), Value::Object(given));
            }
        }
        shown.insert("resourcePermissions".to_owned(), Value::Object(permissions));
    }
}

/// The namespace that an object stands for: a project's own, else the one that is called as it is.
fn namespace_of(object: &Value, id: &str) -> String {
    let backing = text(object, "/status/backingNamespace");
    if backing.is_empty() {
        id.replacen('/', "-", 1)
    } else {
        backing.to_owned()
    }
}

fn url(call: &Call, kind: &Kind, namespace: &str) -> String {
    if kind.group == GROUP {
        let collection = call.urls.collection(kind);
        return format!("{collection}/{}", drover_api::urls::segment(namespace));
    }
    call.urls.native(&kind.path(Some(namespace), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_stand_for_their_namespace() {
        let project = json!({"status": {"backingNamespace": "c-1-p-1"}});
        assert_eq!(namespace_of(&project, "c-1/p-1"), "c-1-p-1");
        assert_eq!(namespace_of(&json!({}), "c-1/p-1"), "c-1-p-1");
        assert_eq!(namespace_of(&json!({}), "c-1"), "c-1");
    }
}
