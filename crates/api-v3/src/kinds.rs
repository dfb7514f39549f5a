//! What types do beyond mapping to their kind.
//!
//! One file per concept. The functions here only choose: a type's behaviour
//! stands in its declaration, and what is asked of it in the same words for all.

mod bindings;
pub(crate) mod cli_login;
pub(crate) mod cluster;
pub(crate) mod credential;
pub(crate) mod form;
mod giving;
pub(crate) mod namespace;
mod node;
mod pod_security;
pub(crate) mod principal;
mod project;
pub(crate) mod quota;
mod registration;
pub(crate) mod review;
mod roles;
pub(crate) mod secret;
mod settings;
mod sign_in;
pub(crate) mod token;
pub(crate) mod user;
pub(crate) mod workload;

use drover_auth::web::ApiError;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::call::{Call, Item};
use crate::schema::{Behaviour, Object, Type};

pub(crate) use settings::is_public as is_public_setting;

/// What an action answers.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A document.
    Document(StatusCode, Value),
    /// A resource.
    Resource(Item),
    /// A list of resources of the type acted on.
    List(Vec<Item>),
    /// Nothing but the status.
    Done(StatusCode),
    /// An answer with headers of its own.
    Response(Box<drover_auth::web::Response>),
}

/// An object about to be created.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Where it goes; `None` for cluster-scoped kinds.
    pub(crate) namespace: Option<String>,
    /// The name, if it is not made up.
    pub(crate) name: Option<String>,
    /// Annotations beside the creator.
    pub(crate) annotations: Map<String, Value>,
    /// Fields that clients cannot write, as in the object.
    pub(crate) object: Map<String, Value>,
}

/// The type that an object of a kind is shown as.
pub(crate) fn shown_as<'a>(call: &Call<'a>, kind: &'a Type, object: &Value) -> &'a Type {
    match kind.behaviour {
        Behaviour::AuthConfig => sign_in::shown_as(call.registry(), kind, object),
        _ => kind,
    }
}

/// Fills in what objects do not hold themselves, before they are mapped.
pub(crate) async fn complete(
    call: &Call<'_>,
    kind: &Type,
    objects: &mut Vec<Value>,
) -> Result<(), ApiError> {
    match kind.behaviour {
        Behaviour::RegistrationToken => registration::complete(call, objects).await,
        _ => Ok(()),
    }
}

/// Works out the fields of a resource that stand nowhere in the object.
pub(crate) fn amend(call: &Call<'_>, kind: &Type, object: &Value, item: &mut Item) {
    match kind.behaviour {
        Behaviour::Node => node::amend(call.registry(), object, item),
        Behaviour::Setting => settings::amend_setting(call, object, item),
        Behaviour::Feature => settings::amend_feature(object, item),
        Behaviour::User => user::amend(call, item),
        Behaviour::Token => token::amend(call, object, item),
        Behaviour::AuthConfig => sign_in::amend(item),
        _ => {}
    }
}

/// Whether `PUT` or `DELETE` makes sense for this object, rights apart.
pub(crate) fn offers(call: &Call<'_>, kind: &Type, object: &Value, method: &str) -> bool {
    match kind.behaviour {
        Behaviour::Cluster => method != "DELETE" || !cluster::is_local(object),
        Behaviour::Node => method != "DELETE",
        Behaviour::Setting if method == "DELETE" => !settings::is_built_in(object),
        Behaviour::Setting => settings::is_writable(call, object),
        Behaviour::Feature => method == "PUT",
        Behaviour::Token => method != "PUT",
        Behaviour::AuthConfig => false,
        Behaviour::GlobalRole | Behaviour::RoleTemplate => {
            method != "DELETE" || !roles::is_builtin(object)
        }
        _ => true,
    }
}

/// Whether an action of a resource works for the caller.
pub(crate) fn offers_action(call: &Call<'_>, kind: &Type, object: &Value, action: &str) -> bool {
    match kind.behaviour {
        Behaviour::Cluster => cluster::offers_action(call, object, action),
        Behaviour::User => user::offers_action(call, kind, object, action),
        Behaviour::Node => node::offers_action(call, kind, object, action),
        _ => false,
    }
}

/// Whether an action of a collection works for the caller.
pub(crate) fn offers_collection_action(call: &Call<'_>, kind: &Type, action: &str) -> bool {
    match kind.behaviour {
        Behaviour::User => user::offers_collection_action(call, action),
        Behaviour::Principal => action == "search",
        // Recorded: the actions on tokens are served, but not offered.
        _ => false,
    }
}

/// Whether an object belongs to the caller, who may then see it without any role.
pub(crate) fn is_own(call: &Call<'_>, kind: &Type, object: &Value) -> bool {
    let own = call.user();
    !own.is_empty()
        && match kind.behaviour {
            Behaviour::User => crate::mapping::name(object) == own,
            Behaviour::Token => token::owner(object) == own,
            Behaviour::Preference => crate::mapping::namespace(object) == Some(own),
            _ => false,
        }
}

/// Whether the caller may do this to its own object without any role.
pub(crate) fn may_change_own(call: &Call<'_>, kind: &Type, object: &Value, verb: &str) -> bool {
    match kind.behaviour {
        Behaviour::Token | Behaviour::Preference => {
            matches!(verb, "update" | "delete" | "create") && is_own(call, kind, object)
        }
        _ => false,
    }
}

/// Whether an object goes into the caller's event stream: what is personal only to its owner.
pub(crate) fn may_stream(
    call: &Call<'_>,
    kind: &Type,
    object: &Value,
    may_see: impl Fn() -> bool,
) -> bool {
    match kind.behaviour {
        Behaviour::Token | Behaviour::Preference => is_own(call, kind, object),
        _ => may_see(),
    }
}

/// Whether an object is never shown.
pub(crate) fn is_hidden(kind: &Type, object: &Value) -> bool {
    match kind.behaviour {
        Behaviour::User => user::is_system(object),
        Behaviour::GlobalRoleBinding | Behaviour::ClusterBinding | Behaviour::ProjectBinding => {
            bindings::is_of_system(object)
        }
        Behaviour::AuthConfig => !sign_in::is_of(kind, object),
        _ => false,
    }
}

/// Where an object about to be created goes; asked before the caller's right to create it.
pub(crate) async fn place(
    call: &Call<'_>,
    kind: &Type,
    fields: &Map<String, Value>,
) -> Result<Option<String>, ApiError> {
    match kind.behaviour {
        Behaviour::RegistrationToken
        | Behaviour::Node
        | Behaviour::Project
        | Behaviour::ClusterBinding => cluster::namespace(fields).map(Some),
        Behaviour::ProjectBinding => bindings::project_namespace(call, fields).await.map(Some),
        Behaviour::Preference => call
            .caller()
            .map(|caller| Some(caller.user.as_str().to_owned())),
        _ => Ok(None),
    }
}

/// Checks and completes what is about to be created.
pub(crate) async fn before_create(
    call: &Call<'_>,
    kind: &Type,
    fields: &mut Map<String, Value>,
    draft: &mut Draft,
) -> Result<(), ApiError> {
    match kind.behaviour {
        Behaviour::Cluster => cluster::before_create(call, kind, fields).await,
        Behaviour::RegistrationToken => registration::before_create(call, fields).await,
        Behaviour::Node => Err(ApiError::invalid(
            "InvalidType",
            "nodes appear with their cluster; they cannot be created",
        )),
        Behaviour::Project => project::before_create(call, fields, draft).await,
        Behaviour::Feature => Err(ApiError::method_not_allowed("features cannot be created")),
        Behaviour::User => user::before_create(call, kind, fields, draft).await,
        Behaviour::GlobalRole => roles::before_create_global(call, fields),
        Behaviour::GlobalRoleBinding => bindings::before_create_global(call, fields, draft).await,
        Behaviour::RoleTemplate => roles::before_create_template(call, fields).await,
        Behaviour::ClusterBinding => bindings::before_create_cluster(call, fields, draft).await,
        Behaviour::ProjectBinding => bindings::before_create_project(call, fields, draft).await,
        Behaviour::PodSecurity => pod_security::check(fields),
        Behaviour::Setting => settings::before_create_setting(call, fields).await,
        Behaviour::Plain
        | Behaviour::CloudCredential
        | Behaviour::Principal
        | Behaviour::Token
        | Behaviour::Namespace
        | Behaviour::Inside
        | Behaviour::AccessReview
        | Behaviour::CliLogin
        | Behaviour::AuthConfig
        | Behaviour::Preference => Ok(()),
    }
}

/// What has to be done once the object is there. A failure takes the object away again.
pub(crate) async fn after_create(
    call: &Call<'_>,
    kind: &Type,
    sent: &Map<String, Value>,
    object: Value,
) -> Result<Value, ApiError> {
    match kind.behaviour {
        Behaviour::Cluster => cluster::after_create(call, kind, object).await,
        Behaviour::User => user::after_create(call, kind, sent, object).await,
        _ => Ok(object),
    }
}

/// Removes an object that was made in vain.
async fn take_back(call: &Call<'_>, kind: &Type, object: &Value) {
    let Some(of) = kind.object else { return };
    let name = crate::mapping::name(object);
    if let Err(error) = call
        .store()
        .delete(of, crate::mapping::namespace(object), name)
        .await
    {
        tracing::error!(resource = of.resource, %name, %error, "an object made in vain could not be removed");
    }
}

/// Checks a change. `current` is the object as it is.
pub(crate) async fn before_update(
    call: &Call<'_>,
    kind: &Type,
    current: &Value,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    match kind.behaviour {
        Behaviour::Cluster => cluster::before_update(call, kind, current, fields).await,
        Behaviour::Node => {
            node::before_update(fields);
            Ok(())
        }
        Behaviour::Project => project::before_update(call, current, fields).await,
        Behaviour::Setting => settings::before_update_setting(call, current, fields).await,
        Behaviour::Feature => settings::before_update_feature(current, fields),
        Behaviour::User => user::before_update(call, current, fields).await,
        Behaviour::GlobalRole => roles::before_update_global(call, current, fields),
        Behaviour::RoleTemplate => roles::before_update_template(call, current, fields).await,
        Behaviour::PodSecurity => pod_security::check(fields),
        Behaviour::AuthConfig => Err(sign_in::refuse()),
        _ => Ok(()),
    }
}

/// What has to be done once an object is changed.
pub(crate) async fn after_update(call: &Call<'_>, kind: &Type, updated: &Value) {
    if kind.behaviour == Behaviour::User {
        user::after_update(call, updated).await;
    }
}

/// What has to be done once an object is deleted.
pub(crate) async fn after_delete(call: &Call<'_>, kind: &Type, deleted: &Value) {
    if kind.behaviour == Behaviour::User {
        user::shut_out(call, deleted).await;
    }
}

/// Checks a removal.
pub(crate) async fn before_delete(
    call: &Call<'_>,
    kind: &Type,
    current: &Value,
) -> Result<(), ApiError> {
    match kind.behaviour {
        Behaviour::Cluster if cluster::is_local(current) => Err(ApiError::method_not_allowed(
            "the local cluster cannot be removed",
        )),
        Behaviour::Node => Err(ApiError::method_not_allowed(
            "nodes go with their cluster; they cannot be removed",
        )),
        Behaviour::Project => project::before_delete(current),
        Behaviour::PodSecurity => pod_security::before_delete(current),
        Behaviour::AuthConfig => Err(sign_in::refuse()),
        Behaviour::Setting => settings::before_delete_setting(current),
        Behaviour::Feature => Err(ApiError::method_not_allowed("features cannot be removed")),
        Behaviour::User => user::before_delete(call, current).await,
        Behaviour::GlobalRole => roles::before_delete(call, current, "globalRoleName").await,
        Behaviour::RoleTemplate => roles::before_delete(call, current, "roleTemplateName").await,
        _ => Ok(()),
    }
}

/// Runs an action of a resource. The caller's right to it is checked by the action itself.
pub(crate) async fn act(
    call: &Call<'_>,
    kind: &Type,
    object: Value,
    action: &str,
    input: Map<String, Value>,
) -> Result<Outcome, ApiError> {
    if !offers_action(call, kind, &object, action) {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "ActionNotAvailable",
            format!("the action {action} is not available"),
        ));
    }
    match kind.behaviour {
        Behaviour::Cluster => cluster::act(call, &object, action, &input).await,
        Behaviour::User => user::act(call, kind, object, action, &input).await,
        Behaviour::Node => node::act(call, &object, action, &input).await,
        _ => Err(unknown_action(action)),
    }
}

/// Runs an action of a collection.
pub(crate) async fn act_on_collection(
    call: &Call<'_>,
    kind: &Type,
    action: &str,
    input: Map<String, Value>,
) -> Result<Outcome, ApiError> {
    match kind.behaviour {
        Behaviour::User => user::act_on_collection(call, action, &input).await,
        Behaviour::Principal => principal::search(call, kind, &input)
            .await
            .map(Outcome::List),
        Behaviour::Token => token::act_on_collection(call, action).await,
        Behaviour::AccessReview => review::who_can(call, &input)
            .await
            .map(|holders| Outcome::Document(StatusCode::OK, holders)),
        _ => Err(unknown_action(action)),
    }
}

/// 422 for an action the type does not have.
pub(crate) fn unknown_action(action: &str) -> ApiError {
    ApiError::invalid_action(format!("Invalid action: {action}"))
}

/// The kind behind a declared type.
pub(crate) fn object_of(call: &Call<'_>, id: &str) -> Result<Object, ApiError> {
    call.registry()
        .get(id)
        .and_then(|kind| kind.object)
        .ok_or_else(|| ApiError::server_error(format!("{id} has no objects")))
}

/// A text field, empty if absent.
pub(crate) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A text at a path of an object, empty if absent.
pub(crate) fn text_at<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
