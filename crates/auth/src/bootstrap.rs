//! First start: namespaces, built-in roles, the administrator.
//!
//! Everything here may be repeated and may run in several replicas at once: names
//! that are drawn once follow from the unique id of the one Secret that only one
//! replica can create, so that all make the same objects or find them made.

mod pod_security;
mod sign_in;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use drover_types::management::{GlobalRole, GlobalRoleBinding, RoleTemplate, Setting, User};
use drover_types::names;
use futures::future;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::clock::NoEntropy;
use crate::logins::store_password;
use crate::password::{Hasher, PasswordError};
use crate::settings::{EnsureError, Settings};
use crate::token;
use crate::{Entropy, UserId, namespaces};

/// Secret with the administrator's first password.
pub const SECRET: &str = "bootstrap-secret";
const PASSWORD_KEY: &str = "bootstrapPassword";
/// Annotation of a [`SECRET`] whose password was drawn here, not given by somebody.
const GENERATED_ANNOTATION: &str = "drover.dev/generated";
/// ConfigMap that says the administrator was made once.
pub const MARKER: &str = "admincreated";
const BOOTSTRAPPING_LABEL: &str = "authz.management.cattle.io/bootstrapping";
const ROLE_ANNOTATION: &str = "authz.management.cattle.io/bootstrapped-role";
const ADMIN_USER: &str = "admin-user";
/// A password known to everybody; whoever gets it must choose another.
const WEAK: &str = "admin";

/// Objects that are made at once, so that they share the syncs of the disk.
pub(crate) const AT_ONCE: usize = 32;

/// Namespaces other parts write to without making them.
const NAMESPACES: [&str; 6] = [
    names::SYSTEM_NAMESPACE,
    names::GLOBAL_DATA_NAMESPACE,
    names::PASSWORDS_NAMESPACE,
    "cattle-tokens",
    "fleet-default",
    "fleet-local",
];

/// The password the administrator starts with.
#[derive(Debug)]
pub enum Outcome {
    /// The administrator was made now.
    Created {
        /// Its user.
        admin: UserId,
        /// The password, if it was drawn and not given: to be shown to whoever started the server, once.
        generated: Option<SecretString>,
    },
    /// It was made before, or somebody else was.
    AlreadyDone,
    /// Setting `no-default-admin`.
    NotWanted,
}

/// Why the first start failed.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The store refused.
    #[error("could not create {object}")]
    Store {
        /// Kind and name.
        object: String,
        /// The store's answer.
        #[source]
        source: kube::Error,
    },
    /// The given password breaks a rule, or its hash could not be stored.
    #[error("the administrator's password could not be set")]
    Password(#[from] PasswordError),
    /// Settings and features.
    #[error("settings could not be brought up to date")]
    Settings(#[from] EnsureError),
    /// No password could be drawn.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The Secret that holds the first password was written by somebody else, without a password.
    #[error(
        "the Secret {}/{SECRET} holds no {PASSWORD_KEY}; delete it to start anew",
        names::SYSTEM_NAMESPACE
    )]
    NoPassword,
}

fn failed(object: impl Into<String>) -> impl FnOnce(kube::Error) -> BootstrapError {
    let object = object.into();
    move |source| BootstrapError::Store { object, source }
}

/// The built-in global roles by name, as new objects.
pub fn global_roles() -> impl Iterator<Item = GlobalRole> {
    built_in(&GLOBAL_ROLES, "default-globalrole")
}

/// The built-in role templates by name, as new objects.
pub fn role_templates() -> impl Iterator<Item = RoleTemplate> {
    built_in(&ROLE_TEMPLATES, "default-roletemplate")
}

/// Names and rules as `recorded/v3-globalroles.json` has them.
static GLOBAL_ROLES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/globalroles.json"))
        .expect("data/globalroles.json is a map of roles")
});

/// Names and rules as `recorded/v3-roletemplates.json` has them.
static ROLE_TEMPLATES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/roletemplates.json"))
        .expect("data/roletemplates.json is a map of roles")
});

fn built_in<K: DeserializeOwned>(
    roles: &'static BTreeMap<String, Value>,
    label: &'static str,
) -> impl Iterator<Item = K> {
    roles.iter().map(move |(name, fields)| {
        let mut object = fields.clone();
        object["metadata"] = json!({
            "name": name,
            "labels": {BOOTSTRAPPING_LABEL: label},
            "annotations": {ROLE_ANNOTATION: "true"},
        });
        serde_json::from_value(object).expect("the built-in roles have the fields of their kind")
    })
}

/// A first start.
#[derive(Debug)]
pub struct Bootstrap {
    client: Store,
    entropy: Entropy,
    settings: Settings,
    hasher: Hasher,
}

/// The client, which has no `Debug` of its own.
struct Store(Client);

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Bootstrap {
    pub(crate) fn new(
        client: Client,
        entropy: Entropy,
        settings: Settings,
        hasher: Hasher,
    ) -> Self {
        Self {
            client: Store(client),
            entropy,
            settings,
            hasher,
        }
    }

    /// Makes what is missing. `password` is the administrator's, if one was given.
    ///
    /// # Errors
    /// [`BootstrapError`]; what was made stays, and the next run goes on from there.
    pub async fn run(&self, password: Option<&SecretString>) -> Result<Outcome, BootstrapError> {
        let client = &self.client.0;
        future::try_join_all(NAMESPACES.map(|name| ensure_namespace(client, name))).await?;
        self.settings.ensure(client, &self.entropy).await?;
        ensure_global_roles(client).await?;
        ensure_role_templates(client).await?;
        pod_security::ensure(client).await?;
        sign_in::ensure(client).await?;
        self.admin(password).await
    }

    async fn admin(&self, given: Option<&SecretString>) -> Result<Outcome, BootstrapError> {
        let client = &self.client.0;
        // Read here: nothing feeds the settings yet.
        let stored: Api<Setting> = Api::all(client.clone());
        let stored = stored
            .get_opt("no-default-admin")
            .await
            .map_err(failed("the setting no-default-admin"))?;
        let stored = stored.is_some_and(|setting| setting.value == "true");
        if stored || self.settings.is_true("no-default-admin") {
            return Ok(Outcome::NotWanted);
        }
        let markers: Api<ConfigMap> = Api::namespaced(client.clone(), names::SYSTEM_NAMESPACE);
        if markers
            .get_opt(MARKER)
            .await
            .map_err(failed("the marker of the administrator"))?
            .is_some()
        {
            return Ok(Outcome::AlreadyDone);
        }
        let users: Api<User> = Api::all(client.clone());
        let secret = self.secret(given).await?;
        let data = secret.data.as_ref().and_then(|data| data.get(PASSWORD_KEY));
        let password = data.and_then(|ByteString(bytes)| String::from_utf8(bytes.clone()).ok());
        let password: SecretString = password
            .filter(|text| !text.is_empty())
            .ok_or(BootstrapError::NoPassword)?
            .into();
        let generated = secret
            .annotations()
            .get(GENERATED_ANNOTATION)
            .is_some_and(|value| value == "true");

        let suffix = token::derived_suffix(&secret.uid().unwrap_or_default());
        let admin = UserId::new(format!("user-{suffix}"));
        let of_first_start =
            ListParams::default().labels(&format!("{BOOTSTRAPPING_LABEL}={ADMIN_USER}"));
        let there = users
            .list(&of_first_start)
            .await
            .map_err(failed("the administrator"))?;
        // An administrator of an installation that is taken over is left as it is.
        let taken_over = there
            .items
            .iter()
            .any(|other| other.name_any() != admin.as_str());
        let mut made = false;
        if !taken_over {
            let hashed = self.hasher.hash(&password).await?;
            let mut user = User::named(admin.as_str());
            user.labels_mut()
                .insert(BOOTSTRAPPING_LABEL.to_owned(), ADMIN_USER.to_owned());
            "Default Admin".clone_into(&mut user.display_name);
            "admin".clone_into(&mut user.username);
            user.principal_ids = vec![admin.local_principal()];
            user.must_change_password = generated || password.expose_secret() == WEAK;
            let mut binding = GlobalRoleBinding::named(&format!("globalrolebinding-{suffix}"));
            "admin".clone_into(&mut binding.global_role_name);
            admin.as_str().clone_into(&mut binding.user_name);
            let bindings: Api<GlobalRoleBinding> = Api::all(client.clone());
            store_password(client, &admin, &hashed.into_secret(&admin)).await?;
            create(&bindings, &binding, "the administrator's binding").await?;
            made = create(&users, &user, "the administrator").await?;
        }
        let marker = ConfigMap {
            metadata: ObjectMeta {
                name: Some(MARKER.to_owned()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        create(&markers, &marker, "the marker of the administrator").await?;
        if !made {
            return Ok(Outcome::AlreadyDone);
        }
        Ok(Outcome::Created {
            admin,
            generated: generated.then_some(password),
        })
    }

    /// The Secret with the first password.
    async fn secret(&self, given: Option<&SecretString>) -> Result<Secret, BootstrapError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.0.clone(), names::SYSTEM_NAMESPACE);
        let object = || "the Secret with the administrator's password";
        if let Some(secret) = secrets.get_opt(SECRET).await.map_err(failed(object()))? {
            return Ok(secret);
        }
        let drawn;
        let password = match given {
            Some(given) => given,
            None => {
                drawn = token::key(&self.entropy)?;
                &drawn
            }
        };
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(SECRET.to_owned()),
                annotations: given
                    .is_none()
                    .then(|| [(GENERATED_ANNOTATION.to_owned(), "true".to_owned())].into()),
                ..ObjectMeta::default()
            },
            data: Some(
                [(
                    PASSWORD_KEY.to_owned(),
                    ByteString(password.expose_secret().as_bytes().to_vec()),
                )]
                .into(),
            ),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        match secrets.create(&PostParams::default(), &secret).await {
            Ok(secret) => Ok(secret),
            // Another replica was quicker; its password is the one that counts.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                secrets.get(SECRET).await.map_err(failed(object()))
            }
            Err(error) => Err(failed(object())(error)),
        }
    }
}

/// Creates an object, or finds one of that name; says whether it was created now.
async fn create<K>(api: &Api<K>, object: &K, what: &str) -> Result<bool, BootstrapError>
where
    K: Clone + std::fmt::Debug + serde::Serialize + DeserializeOwned,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Err(error) => Err(failed(what)(error)),
    }
}

/// Creates a namespace unless it is there.
///
/// # Errors
/// [`BootstrapError::Store`].
pub async fn ensure_namespace(client: &Client, name: &str) -> Result<(), BootstrapError> {
    namespaces::ensure(client, name)
        .await
        .map_err(failed(format!("the namespace {name}")))
}

/// Creates built-in global roles and resets their rules; `newUserDefault` is set once and then people's choice.
async fn ensure_global_roles(client: &Client) -> Result<(), BootstrapError> {
    let api: Api<GlobalRole> = Api::all(client.clone());
    let there = api
        .list(&ListParams::default())
        .await
        .map_err(failed("the global roles"))?;
    let there: BTreeMap<String, GlobalRole> = there
        .items
        .into_iter()
        .map(|role| (role.name_any(), role))
        .collect();
    let ensure = async |wanted: GlobalRole| {
        let name = wanted.name_any();
        let Some(current) = there.get(&name) else {
            create(&api, &wanted, &format!("the global role {name}")).await?;
            return Ok(());
        };
        let mut reset = current.clone();
        reset.display_name = wanted.display_name;
        reset.rules = wanted.rules;
        reset.namespaced_rules = wanted.namespaced_rules;
        reset.inherited_cluster_roles = wanted.inherited_cluster_roles;
        reset.builtin = true;
        replace(&api, current, &reset, &format!("the global role {name}")).await
    };
    stream::iter(global_roles())
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, ensure)
        .await
}

/// As [`ensure_global_roles`]; people choose the creator defaults and what is locked.
async fn ensure_role_templates(client: &Client) -> Result<(), BootstrapError> {
    let api: Api<RoleTemplate> = Api::all(client.clone());
    let there = api
        .list(&ListParams::default())
        .await
        .map_err(failed("the role templates"))?;
    let there: BTreeMap<String, RoleTemplate> = there
        .items
        .into_iter()
        .map(|role| (role.name_any(), role))
        .collect();
    let ensure = async |wanted: RoleTemplate| {
        let name = wanted.name_any();
        let Some(current) = there.get(&name) else {
            create(&api, &wanted, &format!("the role template {name}")).await?;
            return Ok(());
        };
        let mut reset = current.clone();
        reset.display_name = wanted.display_name;
        reset.context = wanted.context;
        reset.rules = wanted.rules;
        reset.external_rules = wanted.external_rules;
        reset.role_template_names = wanted.role_template_names;
        reset.external = wanted.external;
        reset.hidden = wanted.hidden;
        reset.administrative = wanted.administrative;
        reset.builtin = true;
        replace(&api, current, &reset, &format!("the role template {name}")).await
    };
    stream::iter(role_templates())
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, ensure)
        .await
}

async fn replace<K>(api: &Api<K>, current: &K, reset: &K, what: &str) -> Result<(), BootstrapError>
where
    K: Clone
        + std::fmt::Debug
        + PartialEq
        + serde::Serialize
        + DeserializeOwned
        + kube::Resource<DynamicType = ()>,
{
    if current == reset {
        return Ok(());
    }
    match api
        .replace(&current.name_any(), &PostParams::default(), reset)
        .await
    {
        Ok(_) => Ok(()),
        // Another replica is resetting it to the same.
        Err(kube::Error::Api(status)) if status.is_conflict() => Ok(()),
        Err(error) => Err(failed(what)(error)),
    }
}

#[cfg(test)]
mod tests;
