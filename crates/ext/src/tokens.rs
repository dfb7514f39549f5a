//! `tokens`: what lets a person's programs in.

use std::collections::BTreeMap;

use drover_auth::ext::{ExtToken, HOLDS_LABEL, NAMESPACE, OWNER_LABEL};
use drover_auth::logins::NewExtToken;
use drover_auth::token::{KIND_LABEL, SESSION};
use drover_auth::web::{ApiError, Response};
use drover_auth::{Attributes, Identity, Logins};
use drover_types::condition::timestamp;
use drover_types::management::{Cluster, GROUP as MANAGEMENT};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::owners::{Wanted, owners_of};
use crate::request::{Sent, flag, number, text, texts};
use crate::watch::Watched;
use crate::{Call, bad_request, gone, made, status};

const PLURAL: &str = "tokens";
const KIND: &str = "Token";

impl Call<'_> {
    pub(crate) async fn tokens(&self, sent: Sent) -> Result<Response, ApiError> {
        match self.asked.verb {
            "create" => self.create_token(&sent.into_inner()).await,
            "get" => {
                let token = self.token().await?;
                Ok(self.shown(KIND, self.token_shown(&token, None)))
            }
            "list" => {
                let (tokens, version) = self.listed_tokens().await?;
                let shown = tokens.iter().map(|token| self.token_shown(token, None));
                Ok(self.listed(KIND, &shown.collect::<Vec<_>>(), &version))
            }
            "watch" => self.watch_tokens().await,
            "update" | "patch" => self.update_token(sent).await,
            _ => self.delete_tokens().await,
        }
    }

    /// The token that is named, if the caller may see it.
    async fn token(&self) -> Result<ExtToken, ApiError> {
        let name = self.asked.name.as_deref().unwrap_or_default();
        let found = self.parts.logins.ext_token(name).await?;
        found
            .filter(|token| self.reaches(token.user.as_str()))
            .ok_or_else(|| self.absent(PLURAL))
    }

    /// Those that are listed, and the version of the list.
    async fn listed_tokens(&self) -> Result<(Vec<ExtToken>, String), ApiError> {
        let labels = self.asked.labels.as_deref();
        let logins = &self.parts.logins;
        let (mut found, version) = logins.ext_tokens(self.owner(), labels).await?;
        if let Some(name) = &self.asked.name {
            found.retain(|token| token.name == *name);
        }
        Ok((found, version))
    }

    async fn watch_tokens(&self) -> Result<Response, ApiError> {
        let (identity, clock) = (self.identity.clone(), self.parts.clock.clone());
        let watched = Watched {
            api: Api::<Secret>::namespaced(self.parts.client.0.clone(), NAMESPACE),
            labels: drover_auth::ext::selector(self.owner(), self.asked.labels.as_deref()),
            kind: KIND,
            plural: PLURAL,
            shown: Box::new(move |secret| {
                let token = drover_auth::ext::of_secret(secret)?;
                Some(shown(&token, None, &identity, clock.now()))
            }),
        };
        self.watch(watched).await
    }

    /// A token as clients see it; `key` is given in the answer to its making alone.
    fn token_shown(&self, token: &ExtToken, key: Option<&SecretString>) -> Value {
        shown(token, key, self.identity, self.parts.clock.now())
    }
    async fn create_token(&self, sent: &Value) -> Result<Response, ApiError> {
        let user = text(sent, "/spec/userID")?;
        if !user.is_empty() && user != self.identity.user.as_str() {
            return Err(bad_request(
                "spec.userID: a token can be made for oneself only",
            ));
        }
        let kind = text(sent, "/spec/kind")?;
        if kind == SESSION {
            return Err(bad_request("spec.kind: sessions begin with a login"));
        }
        let cluster = text(sent, "/spec/clusterName")?;
        if !cluster.is_empty() {
            self.cluster(&cluster).await?;
        }
        let new = NewExtToken {
            kind,
            description: text(sent, "/spec/description")?,
            ttl: number(sent, "/spec/ttl")?,
            cluster: Some(cluster).filter(|cluster| !cluster.is_empty()),
            enabled: flag(sent, "/spec/enabled")?.unwrap_or(true),
            labels: own_labels(sent)?,
            annotations: texts(sent, "/metadata/annotations")?,
            owners: self.first_owners(KIND, sent)?,
        };
        if self.asked.dry {
            return Ok(made(sent));
        }
        let (token, key) = self
            .parts
            .logins
            .create_ext_token(self.identity, new)
            .await?;
        tracing::info!(user = %token.user, token = %token.name, "a token was made");
        Ok(made(&self.token_shown(&token, Some(&key))))
    }

    /// A cluster that the caller may see.
    pub(crate) async fn cluster(&self, name: &str) -> Result<Cluster, ApiError> {
        let attributes = Attributes {
            verb: "get",
            group: MANAGEMENT,
            resource: "clusters",
            namespace: None,
            name: Some(name),
        };
        self.parts.access.check(self.identity, &attributes)?;
        let clusters: Api<Cluster> = Api::all(self.parts.client.0.clone());
        let found = clusters.get_opt(name).await?;
        found.ok_or_else(|| bad_request(format!("cluster {name} not found")))
    }

    async fn update_token(&self, sent: Sent) -> Result<Response, ApiError> {
        let before = self.token().await?;
        let shown = self.token_shown(&before, None);
        let wanted = match self.wanted(KIND, &shown, sent)? {
            Wanted::This(wanted) => wanted,
            Wanted::Conflicts(conflicts) => return Ok(status::conflicts(conflicts)),
        };
        for (field, pointer) in [
            ("metadata.uid", "/metadata/uid"),
            ("spec.userID", "/spec/userID"),
            ("spec.kind", "/spec/kind"),
            ("spec.userPrincipal", "/spec/userPrincipal"),
            ("spec.clusterName", "/spec/clusterName"),
        ] {
            let (old, new) = (shown.pointer(pointer), wanted.pointer(pointer));
            let same = match new {
                None | Some(Value::Null) => true,
                Some(new) => Some(new) == old || (old.is_none() && new == ""),
            };
            if !same {
                return Err(bad_request(format!("{field} is immutable")));
            }
        }
        let version = text(&wanted, "/metadata/resourceVersion")?;
        let mut token = before.clone();
        if !version.is_empty() {
            token.resource_version = version;
        }
        token.description = text(&wanted, "/spec/description")?;
        token.enabled = flag(&wanted, "/spec/enabled")?.unwrap_or(true);
        token.ttl = match number(&wanted, "/spec/ttl")? {
            0 => before.ttl,
            ttl => ttl,
        };
        let longer = before.ttl >= 0 && (token.ttl < 0 || token.ttl > before.ttl);
        if longer {
            return Err(bad_request("spec.ttl: a lifetime can be made shorter only"));
        }
        token.labels = own_labels(&wanted)?;
        token.annotations = texts(&wanted, "/metadata/annotations")?;
        token.owners = owners_of(&wanted);
        if self.asked.dry {
            return Ok(self.shown(KIND, self.token_shown(&token, None)));
        }
        let stored = self.parts.logins.replace_ext_token(&token).await?;
        Ok(self.shown(KIND, self.token_shown(&stored, None)))
    }

    async fn delete_tokens(&self) -> Result<Response, ApiError> {
        let one = self.asked.verb == "delete";
        let doomed = if one {
            vec![self.token().await?]
        } else {
            self.listed_tokens().await?.0
        };
        let mut shown = Vec::new();
        for token in &doomed {
            if !self.asked.dry {
                let name = format!("{}{}", drover_auth::ext::PREFIX, token.name);
                self.parts.logins.delete_token(&name).await?;
                tracing::info!(user = %self.identity.user, token = %token.name, "a token was deleted");
            }
            shown.push(self.token_shown(token, None));
        }
        Ok(gone(KIND, one, shown))
    }
}

/// What stands in the metadata of an object.
pub(crate) struct Metadata<'a> {
    pub(crate) name: &'a str,
    pub(crate) prefix: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) version: &'a str,
    pub(crate) created: Option<Timestamp>,
    pub(crate) labels: &'a BTreeMap<String, String>,
    pub(crate) annotations: &'a BTreeMap<String, String>,
    /// Null where nobody's fields are known.
    pub(crate) owners: &'a Value,
}

pub(crate) fn metadata(of: &Metadata<'_>) -> Value {
    let mut metadata = json!({
        "name": of.name, "generateName": of.prefix, "uid": of.uid, "resourceVersion": of.version,
        "creationTimestamp": of.created.map(timestamp), "labels": of.labels,
    });
    if !of.annotations.is_empty() {
        metadata["annotations"] = json!(of.annotations);
    }
    if of.owners.is_array() {
        metadata["managedFields"] = of.owners.clone();
    }
    metadata
}

/// The labels that are the client's to give.
pub(crate) fn own_labels(sent: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let mut labels = texts(sent, "/metadata/labels")?;
    for ours in [HOLDS_LABEL, OWNER_LABEL, KIND_LABEL] {
        labels.remove(ours);
    }
    Ok(labels)
}

/// A token as somebody sees it.
fn shown(
    token: &ExtToken,
    key: Option<&SecretString>,
    identity: &Identity,
    now: Timestamp,
) -> Value {
    let expires = token.expires();
    let own = identity.token.as_ref();
    let current =
        own.is_some_and(|own| own.name.strip_prefix(drover_auth::ext::PREFIX) == Some(&token.name));
    let mut spec = json!({
        "description": token.description, "enabled": token.enabled, "kind": token.kind, "ttl": token.ttl,
        "userID": token.user.as_str(), "userPrincipal": token.principal,
    });
    if let Some(cluster) = &token.cluster {
        spec["clusterName"] = json!(cluster);
    }
    let mut status = json!({
        "current": current, "expired": expires.is_some_and(|expires| now >= expires),
        "expiresAt": expires.map(timestamp).unwrap_or_default(), "lastUpdateTime": token.last_update,
    });
    for (name, at) in [
        ("lastUsedAt", token.last_used),
        ("lastActivitySeen", token.last_seen),
    ] {
        if let Some(at) = at {
            status[name] = json!(timestamp(at));
        }
    }
    if let Some(key) = key {
        let bearer = Logins::ext_bearer(&token.name, key);
        status["value"] = json!(key.expose_secret());
        status["bearerToken"] = json!(bearer.expose_secret());
    }
    json!({
        "apiVersion": "ext.cattle.io/v1", "kind": KIND,
        "metadata": metadata(&Metadata {
            name: &token.name, prefix: "token-", uid: &token.uid, version: &token.resource_version,
            created: token.created, labels: &token.labels, annotations: &token.annotations,
            owners: &token.owners,
        }),
        "spec": spec, "status": status,
    })
}
