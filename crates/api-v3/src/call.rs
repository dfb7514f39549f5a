//! One request being served: who asks, for what, with what is shared.
//!
//! Owns the questions of rights. Everything an answer says about what the
//! caller may do (links, lists, refusals) is asked here, nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drover_auth::access::{Explanation, Holder, Question};
use drover_auth::logins::{Handover, NewToken};
use drover_auth::web::ApiError;
use drover_auth::{Attributes, Clock, Decision, Entropy, Identity, IssuedToken, UserId};
use drover_types::management::GROUP;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::kinds::quota::Turns;
use crate::query::Query;
use crate::registry::Registry;
use crate::schema::{Object, Type};
use crate::store::Store;
use crate::urls::Urls;

/// Who may do what; answered by [`drover_auth::Access`] in the server.
pub trait Rights: Send + Sync + 'static {
    /// Whether `identity` may do this to an object of the management cluster.
    fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> Decision;

    /// The virtual groups of `identity` in `cluster`; `None` if it may not see the cluster.
    fn cluster_groups(&self, identity: &Identity, cluster: &str) -> Option<Vec<String>>;

    /// Why `identity` may, or may not, do what is asked.
    fn explain(&self, identity: &Identity, question: &Question<'_>) -> Explanation;

    /// Everybody a binding allows to do what is asked.
    fn who_can(&self, question: &Question<'_>) -> Vec<Holder>;
}

impl Rights for drover_auth::Access {
    fn allows(&self, identity: &Identity, attributes: &Attributes<'_>) -> Decision {
        Self::allows(self, identity, attributes)
    }

    fn cluster_groups(&self, identity: &Identity, cluster: &str) -> Option<Vec<String>> {
        Self::cluster_groups(self, identity, cluster)
    }

    fn explain(&self, identity: &Identity, question: &Question<'_>) -> Explanation {
        Self::explain(self, identity, question)
    }

    fn who_can(&self, question: &Question<'_>) -> Vec<Holder> {
        Self::who_can(self, question)
    }
}

/// What `importYaml` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct YamlImport {
    /// The documents.
    pub yaml: String,
    /// Namespace of objects that name none.
    pub default_namespace: String,
    /// Namespace all objects go to, if not empty.
    pub namespace: String,
    /// Project new namespaces go to, if not empty.
    pub project: String,
}

/// What the API asks of parts that stand beside it.
pub trait Hooks: Send + Sync + 'static {
    /// Applies documents to a cluster with the rights of `identity`; gives what is to be said about it.
    fn import_yaml<'a>(
        &'a self,
        identity: &'a Identity,
        cluster: &'a str,
        import: YamlImport,
    ) -> BoxFuture<'a, Result<String, ApiError>>;

    /// A client of a cluster whose requests go the way of the user's own, with the rights it has there. `None`: this
    /// server reaches no clusters, and actions on what is in them are not offered.
    fn cluster_client(&self, _identity: &Identity, _cluster: &str) -> Option<kube::Client> {
        None
    }

    /// A cluster's Kubernetes API with all rights, for what is decided here.
    fn cluster<'a>(&'a self, cluster: &'a str) -> BoxFuture<'a, Result<kube::Client, ApiError>>;

    /// Completes when `identity` is no longer valid; streams end with it.
    fn revoked<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, ()>;
}

/// Tokens and passwords, as `drover_auth` keeps them.
pub trait Credentials: Send + Sync + 'static {
    /// Makes an API key owned by `owner`.
    fn create_token<'a>(
        &'a self,
        owner: &'a Identity,
        token: &'a NewToken,
    ) -> BoxFuture<'a, Result<IssuedToken, ApiError>>;

    /// Makes a token for a kubeconfig of `owner`, good for `cluster` only if one is named.
    fn kubeconfig_token<'a>(
        &'a self,
        owner: &'a Identity,
        cluster: Option<&'a str>,
    ) -> BoxFuture<'a, Result<IssuedToken, ApiError>>;

    /// Makes a token of the caller and lays it ready for a command line; gives when it expires.
    fn hand_over<'a>(
        &'a self,
        owner: &'a Identity,
        handover: &'a Handover,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, ApiError>>;

    /// Ends the session of the caller.
    fn logout<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Result<(), ApiError>>;

    /// Waits until a user that was just disabled or deleted is refused.
    fn shut_out<'a>(&'a self, user: &'a UserId) -> BoxFuture<'a, ()>;

    /// Deletes a token; requests with it are refused from the moment this is done.
    fn delete_token<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), ApiError>>;

    /// Refuses a password that breaks the rules (422 `InvalidBodyContent`).
    fn check_password(&self, username: &str, password: &SecretString) -> Result<(), ApiError>;

    /// Keeps a user's password, hashed.
    fn set_password<'a>(
        &'a self,
        user: &'a UserId,
        username: &'a str,
        password: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), ApiError>>;

    /// Changes the caller's own password, if `current` is it; nobody has to change it then.
    fn change_password<'a>(
        &'a self,
        identity: &'a Identity,
        current: &'a SecretString,
        new: &'a SecretString,
    ) -> BoxFuture<'a, Result<(), ApiError>>;
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) registry: Registry,
    pub(crate) store: Store,
    pub(crate) rights: Arc<dyn Rights>,
    pub(crate) credentials: Arc<dyn Credentials>,
    pub(crate) hooks: Arc<dyn Hooks>,
    pub(crate) clock: Clock,
    pub(crate) entropy: Entropy,
    /// Settings given by the environment; they win over stored ones and cannot be changed.
    pub(crate) setting_overrides: BTreeMap<String, String>,
    /// Time between the pings of event streams.
    pub(crate) ping: Duration,
    /// Who is being fitted into the quota of a project.
    pub(crate) quotas: Turns,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("setting_overrides", &self.setting_overrides.keys())
            .finish_non_exhaustive()
    }
}

/// One request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    /// `None`: nobody is signed in; only what is public may be shown.
    pub(crate) identity: Option<&'a Identity>,
    pub(crate) urls: Urls,
    pub(crate) query: Query,
    pub(crate) now: Timestamp,
    /// The key under which resources list their actions.
    pub(crate) action_key: &'static str,
}

/// The fields of a resource, ready to be answered.
pub(crate) type Item = Map<String, Value>;

impl<'a> Call<'a> {
    pub(crate) fn registry(&self) -> &'a Registry {
        &self.shared.registry
    }

    pub(crate) fn store(&self) -> &'a Store {
        &self.shared.store
    }

    /// The caller.
    ///
    /// # Errors
    /// 401 where nobody is signed in.
    pub(crate) fn caller(&self) -> Result<&'a Identity, ApiError> {
        self.identity
            .ok_or_else(|| ApiError::unauthorized("must authenticate"))
    }

    /// Name of the caller's `User`, empty if nobody is signed in.
    pub(crate) fn user(&self) -> &'a str {
        self.identity.map_or("", |identity| identity.user.as_str())
    }

    /// Whether the caller may use `verb`.
    pub(crate) fn may(
        &self,
        verb: &str,
        object: Object,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        self.identity.is_some_and(|identity| {
            self.shared
                .rights
                .allows(identity, &attributes(verb, object, namespace, name))
                .is_allowed()
        })
    }

    /// Whether the caller may do everything: an administrator.
    pub(crate) fn may_everything(&self) -> bool {
        self.identity
            .is_some_and(|identity| self.is_administrator(identity))
    }

    /// Whether somebody may do everything.
    pub(crate) fn is_administrator(&self, identity: &Identity) -> bool {
        let all = Attributes {
            verb: "*",
            group: "*",
            resource: "*",
            namespace: None,
            name: None,
        };
        self.shared.rights.allows(identity, &all).is_allowed()
    }

    /// Whether the caller may do all that these rules (of a role, as JSON) allow, everywhere or in one namespace.
    /// Rules for URLs are held by administrators only.
    pub(crate) fn holds(&self, rules: Option<&Value>, namespace: Option<&str>) -> bool {
        let Some(identity) = self.identity else {
            return false;
        };
        let list = |rule: &'_ Value, name: &str| -> Vec<String> {
            let values = rule.get(name).and_then(Value::as_array);
            values
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let rules = rules
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        self.is_administrator(identity)
            || rules.iter().all(|rule| {
                let names = list(rule, "resourceNames");
                let names: Vec<Option<&str>> = if names.is_empty() {
                    vec![None]
                } else {
                    names.iter().map(|name| Some(name.as_str())).collect()
                };
                let (groups, resources, verbs) = (
                    list(rule, "apiGroups"),
                    list(rule, "resources"),
                    list(rule, "verbs"),
                );
                list(rule, "nonResourceURLs").is_empty()
                    && groups.iter().all(|group| {
                        resources.iter().all(|resource| {
                            verbs.iter().all(|verb| {
                                names.iter().all(|name| {
                                    let attributes = Attributes {
                                        verb,
                                        group,
                                        resource,
                                        namespace,
                                        name: *name,
                                    };
                                    self.shared
                                        .rights
                                        .allows(identity, &attributes)
                                        .is_allowed()
                                })
                            })
                        })
                    })
            })
    }

    /// # Errors
    /// 403 in the words of a Kubernetes API server; 401 where nobody is signed in.
    pub(crate) fn require(
        &self,
        verb: &str,
        object: Object,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Result<(), ApiError> {
        let identity = self.caller()?;
        let attributes = attributes(verb, object, namespace, name);
        if self
            .shared
            .rights
            .allows(identity, &attributes)
            .is_allowed()
        {
            Ok(())
        } else {
            Err(attributes.forbidden(identity))
        }
    }

    /// Whether the caller may see this object.
    pub(crate) fn may_see(&self, kind: &Type, object: Object, value: &Value) -> bool {
        let name = crate::mapping::name(value);
        let namespace = crate::mapping::namespace(value);
        crate::kinds::is_own(self, kind, value)
            || self.may("get", object, namespace, Some(name))
            || self.may("list", object, namespace, None)
    }
}

fn attributes<'b>(
    verb: &'b str,
    object: Object,
    namespace: Option<&'b str>,
    name: Option<&'b str>,
) -> Attributes<'b> {
    Attributes {
        verb,
        group: GROUP,
        resource: object.resource,
        namespace,
        name,
    }
}

/// Splits an identifier into namespace and name.
///
/// # Errors
/// 404 for identifiers that no object of the type can have; such a text never becomes part of a path.
pub(crate) fn split_id<'b>(
    kind: &Type,
    object: Object,
    id: &'b str,
) -> Result<(Option<&'b str>, &'b str), ApiError> {
    let absent = || not_found(object, id);
    let fits = |part: &str| {
        !part.is_empty()
            && part.len() <= 253
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
            && part.bytes().any(|byte| byte.is_ascii_alphanumeric())
    };
    let (namespace, name) = match id.split_once(':') {
        Some((namespace, name)) if kind.has_compound_id() => (Some(namespace), name),
        None if !kind.has_compound_id() => (None, id),
        _ => return Err(absent()),
    };
    if fits(name) && namespace.is_none_or(fits) {
        Ok((namespace, name))
    } else {
        Err(absent())
    }
}

/// 404 in the words of a Kubernetes API server.
pub(crate) fn not_found(object: Object, id: &str) -> ApiError {
    ApiError::not_found(format!("{}.{GROUP} \"{id}\" not found", object.resource))
}

/// 404 for what a resource has no link to.
pub(crate) fn link_not_found(link: &str) -> ApiError {
    ApiError::not_found(format!("Link not found: {link}"))
}
