//! The end of a user: what it held goes with it. And its beginning here, if an old peer made it.
//!
//! Owns the finalizer of User objects and what is deleted before it is taken off (reference rbac-and-projects 3): the
//! user's bindings, tokens and kubeconfigs of both APIs, password, attributes and preferences. Without this a user made
//! later under the same name would hold all of it. That a user is out from the moment of the deletion is decided where
//! requests are authenticated. A hash that a peer of before 2.12 left in the User itself is moved to where passwords
//! are kept (rancher/rancher `pkg/user/migrate.go`).
//!
//! Invariant: only what names the user that goes is deleted, and nothing as long as the user is there.

#[cfg(test)]
mod tests;

use drover_auth::ext::{self, OWNER_LABEL};
use drover_auth::token::USER_LABEL;
use drover_auth::{UserId, password};
use drover_types::management::{
    ClusterRoleTemplateBinding, GlobalRoleBinding, Preference, ProjectRoleTemplateBinding, Token,
    User, UserAttribute,
};
use drover_types::names::{PASSWORDS_NAMESPACE, is_label_value};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::ListParams;
use kube::{Api, Client, Resource, ResourceExt as _};
use serde_json::{Value, json};

use crate::clusters::is_marked;
use crate::plan::{Action, Plan, Reference, Site, Sites};
use crate::runtime::{Controller, LookError, metadata_in, metadata_of};

/// Keeps a User until what it held is gone.
pub const FINALIZER: &str = "controller.cattle.io/mgmt-auth-users-controller";
/// What names of users begin with whose namespace is theirs alone: those that the hub makes up.
const MADE_UP: [&str; 2] = ["u-", "user-"];

/// What is left of a user that goes.
#[derive(Clone, Debug, Default)]
pub struct Left {
    /// Everything to be deleted, in order: rights first, then what could be used to sign in.
    pub objects: Vec<(Reference, Option<String>)>,
}

impl Left {
    fn add<K: Resource<DynamicType = ()>>(&mut self, meta: &ObjectMeta) {
        let name = meta.name.as_deref().unwrap_or_default();
        let reference = Reference::new::<K>(meta.namespace.as_deref(), name);
        self.objects.push((reference, meta.uid.clone()));
    }

    /// Adds those of a kind that `is_theirs`.
    fn keep<K: Resource<DynamicType = ()>>(&mut self, found: &[K], is_theirs: impl Fn(&K) -> bool) {
        for object in found.iter().filter(|object| is_theirs(object)) {
            self.add::<K>(object.meta());
        }
    }

    /// Reads what a user left.
    ///
    /// # Errors
    /// When anything cannot be read: what was not read is not known to be gone.
    pub(crate) async fn read(client: &Client, user: &str) -> Result<Self, kube::Error> {
        let mut left = Self::default();
        let all = ListParams::default();
        let theirs = Theirs::of(user);
        let bindings = Api::<GlobalRoleBinding>::all(client.clone());
        left.keep(&bindings.list(&all).await?.items, |binding| {
            theirs.names(&binding.user_name, &binding.user_principal_name)
        });
        let bindings = Api::<ClusterRoleTemplateBinding>::all(client.clone());
        left.keep(&bindings.list(&all).await?.items, |binding| {
            theirs.names(&binding.user_name, &binding.user_principal_name)
        });
        let bindings = Api::<ProjectRoleTemplateBinding>::all(client.clone());
        left.keep(&bindings.list(&all).await?.items, |binding| {
            theirs.names(&binding.user_name, &binding.user_principal_name)
        });
        let tokens = Api::<Token>::all(client.clone()).list(&all).await?.items;
        left.keep(&tokens, |token| {
            token.user_id == user || token.labels().get(USER_LABEL).is_some_and(|of| of == user)
        });
        left.owned::<Secret>(client, user).await?;
        left.owned::<ConfigMap>(client, user).await?;
        let password = metadata_in::<Secret>(client, PASSWORDS_NAMESPACE);
        if let Some(password) = password.get_opt(user).await? {
            left.add::<Secret>(&password.metadata);
        }
        let attribute = metadata_of::<UserAttribute>(client).get_opt(user).await?;
        if let Some(attribute) = attribute {
            left.add::<UserAttribute>(&attribute.metadata);
        }
        left.of_namespace(client, user).await?;
        Ok(left)
    }

    /// Tokens and kubeconfigs of `ext.cattle.io`.
    async fn owned<K>(&mut self, client: &Client, user: &str) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        // A name that is no value of a label owns nothing there.
        if !is_label_value(user) {
            return Ok(());
        }
        let theirs = ListParams::default().labels(&format!("{OWNER_LABEL}={user}"));
        let found = metadata_in::<K>(client, ext::NAMESPACE)
            .list(&theirs)
            .await?;
        found
            .items
            .iter()
            .for_each(|object| self.add::<K>(&object.metadata));
        Ok(())
    }

    /// Preferences, and the namespace that they lie in if it was made for them.
    async fn of_namespace(&mut self, client: &Client, user: &str) -> Result<(), kube::Error> {
        let preferences = metadata_in::<Preference>(client, user);
        let found = preferences.list(&ListParams::default()).await?;
        found
            .items
            .iter()
            .for_each(|preference| self.add::<Preference>(&preference.metadata));
        if MADE_UP.iter().any(|prefix| user.starts_with(prefix)) {
            let namespace = Api::<Namespace>::all(client.clone()).get_opt(user).await?;
            if let Some(namespace) = namespace.filter(is_marked) {
                self.add::<Namespace>(&namespace.metadata);
            }
        }
        Ok(())
    }
}

/// How bindings name a user.
struct Theirs<'a> {
    user: &'a str,
    principal: String,
}

impl<'a> Theirs<'a> {
    fn of(user: &'a str) -> Self {
        Self {
            user,
            principal: UserId::new(user).local_principal(),
        }
    }

    /// A principal of another provider is not the user's alone: it may sign in anew, as another user.
    fn names(&self, user: &str, principal: &str) -> bool {
        user == self.user || (user.is_empty() && principal == self.principal)
    }
}

/// Decides about one user; `user` is `None` once it is gone, and `left` is read only for one that goes.
#[must_use]
pub fn reconcile(user: Option<&User>, left: &Left) -> Plan {
    let mut plan = Plan::default();
    let goes = user.is_none_or(|user| user.metadata.deletion_timestamp.is_some());
    if goes {
        let delete = |(target, uid): &(Reference, Option<String>)| Action::Delete {
            site: Site::Hub,
            target: target.clone(),
            uid: uid.clone(),
        };
        plan.actions.extend(left.objects.iter().map(delete));
    }
    let Some(user) = user else {
        return plan;
    };
    let mut change = json!({});
    let mut finalizers = user.metadata.finalizers.clone().unwrap_or_default();
    let held = finalizers.iter().any(|found| found == FINALIZER);
    if goes == held {
        if goes {
            finalizers.retain(|found| found != FINALIZER);
        } else {
            finalizers.push(FINALIZER.to_owned());
        }
        change["metadata"] = json!({ "finalizers": finalizers });
    }
    let old = (!goes).then(|| password::of_old_user(user)).flatten();
    if let Some(secret) = old {
        plan.actions.push(Action::apply(Site::Hub, &secret));
        change["password"] = Value::Null;
    }
    if change != json!({}) {
        change["metadata"]["resourceVersion"] = json!(user.metadata.resource_version);
        let target = Reference::new::<User>(None, &user.name_any());
        plan.actions.push(Action::patch(Site::Hub, target, change));
    }
    plan
}

/// Looks after the end of users; keys are their names.
pub(crate) struct Users {
    pub(crate) client: Client,
}

impl Controller for Users {
    const NAME: &'static str = "users";

    async fn look(&self, name: &str) -> Result<Option<Timestamp>, LookError> {
        let user = Api::<User>::all(self.client.clone()).get_opt(name).await?;
        let stays = |user: &User| user.metadata.deletion_timestamp.is_none();
        let left = if user.as_ref().is_some_and(stays) {
            Left::default()
        } else {
            Left::read(&self.client, name).await?
        };
        let plan = reconcile(user.as_ref(), &left);
        if !left.objects.is_empty() {
            tracing::info!(
                user = name,
                n_objects = left.objects.len(),
                "what a user held is deleted with it"
            );
        }
        Sites::hub(&self.client).execute(&plan).await?;
        Ok(None)
    }
}
