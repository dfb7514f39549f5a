//! What the creator of a cluster or project is given there (reference rbac 5).

use drover_auth::UserId;
use drover_types::management::RoleTemplate;
use drover_types::names::CREATOR_ANNOTATION;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client};

use crate::clusters::{CREATOR_PRINCIPAL, NO_CREATOR_RBAC, annotation};

/// A creator as bindings name it.
pub(crate) struct Creator {
    /// Empty if it is known by its principal alone.
    pub(crate) user: String,
    pub(crate) principal: String,
}

impl Creator {
    /// The creator of an object, unless there is none or it wants no rights of its own.
    pub(crate) fn of(meta: &ObjectMeta) -> Option<Self> {
        let creator = annotation(meta, CREATOR_ANNOTATION).filter(|creator| !creator.is_empty())?;
        if annotation(meta, NO_CREATOR_RBAC) == Some("true") {
            return None;
        }
        let provided =
            annotation(meta, CREATOR_PRINCIPAL).filter(|principal| !principal.starts_with("local"));
        Some(match provided {
            Some(principal) => Self {
                user: String::new(),
                principal: principal.to_owned(),
            },
            // Both, as recorded; clients name members by the principal.
            None => Self {
                user: creator.to_owned(),
                principal: UserId::new(creator).local_principal(),
            },
        })
    }
}

/// The role templates that creators get; before there are any, `first`, the peer's default.
pub(crate) async fn roles(
    client: &Client,
    first: &str,
    is_default: impl Fn(&RoleTemplate) -> bool,
) -> Result<Vec<String>, kube::Error> {
    let templates = Api::<RoleTemplate>::all(client.clone())
        .list(&ListParams::default())
        .await?
        .items;
    if templates.is_empty() {
        return Ok(vec![first.to_owned()]);
    }
    Ok(templates
        .into_iter()
        .filter(|template| is_default(template) && !template.locked)
        .filter_map(|template| template.metadata.name)
        .collect())
}
