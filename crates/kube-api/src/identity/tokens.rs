//! Service-account tokens: what they claim and when they hold.
//!
//! A token holds while its account (and the object it is bound to) exists with the same uid and it is not expired. The
//! signing key lies in a table of the store that no resource serves.
//!
//! Claims are those of kubernetes `pkg/serviceaccount/{claims,legacy}.go`, v1.36.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::jwt::{JwtError, SigningKey};
use super::{Identity, service_account_groups, service_account_user};
use crate::rest::Api;
use crate::store::{Change, ChangeAction, Draft, Key, Range, WriteError};

/// Who issues tokens, and the audience of those that name none.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
const KEY_TABLE: &str = "internal/keys";
const KEY_NAME: &str = "service-account-tokens";
const SECRET_TYPE: &str = "kubernetes.io/service-account-token";

/// Why a token does not hold.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the signing key: {0}")]
    Key(String),
    #[error(transparent)]
    Jwt(#[from] JwtError),
    #[error("the issuer is another")]
    Issuer,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is for other audiences")]
    Audience,
    #[error("{0} is gone")]
    Gone(&'static str),
}

/// The key of this server.
pub(super) fn signing_key(api: &Api) -> Result<SigningKey, TokenError> {
    let key = Key::new("", KEY_NAME);
    let stored = api
        .store
        .get(KEY_TABLE, &key)
        .ok_or_else(|| TokenError::Key("missing".to_owned()))?;
    let encoded = stored.value();
    let document = STANDARD.decode(encoded["pkcs8"].as_str().unwrap_or_default());
    let document = document.map_err(|error| TokenError::Key(error.to_string()))?;
    Ok(SigningKey::from_pkcs8(&document)?)
}

/// Makes the key if there is none.
pub(crate) async fn ensure_signing_key(api: &Api) -> Result<(), TokenError> {
    let key = Key::new("", KEY_NAME);
    if api.store.get(KEY_TABLE, &key).is_some() {
        return Ok(());
    }
    let object = json!({
        "apiVersion": "internal/v1",
        "kind": "Key",
        "metadata": {"name": KEY_NAME},
        "pkcs8": STANDARD.encode(SigningKey::generate()?),
    });
    let draft = Draft::new(&object, 0).map_err(|error| TokenError::Key(error.to_string()))?;
    let change = Change {
        table: KEY_TABLE.into(),
        key,
        action: ChangeAction::Create(draft),
    };
    match api.store.write(change).await {
        Ok(_) | Err(WriteError::Exists) => Ok(()),
        Err(error) => Err(TokenError::Key(error.to_string())),
    }
}

/// An object's uid, if it exists.
pub(super) fn uid_of(api: &Api, table: &str, namespace: &str, name: &str) -> Option<String> {
    let object = api.store.get(table, &Key::new(namespace, name))?.value();
    object
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

/// The identity a token proves, for one of `audiences` (empty = this server).
pub(crate) fn authenticate(
    api: &Api,
    token: &str,
    audiences: &[String],
) -> Result<Identity, TokenError> {
    review(api, token, audiences).map(|(identity, _)| identity)
}

/// The identity a token proves, and which of the asked audiences it is for.
pub(crate) fn review(
    api: &Api,
    token: &str,
    audiences: &[String],
) -> Result<(Identity, Vec<String>), TokenError> {
    let claims = signing_key(api)?.verify(token)?;
    match claims["iss"].as_str() {
        Some(ISSUER) => bound(api, &claims, audiences),
        Some(LEGACY_ISSUER) => legacy(api, &claims, audiences),
        _ => Err(TokenError::Issuer),
    }
}

fn asked(audiences: &[String]) -> Vec<String> {
    if audiences.is_empty() {
        vec![ISSUER.to_owned()]
    } else {
        audiences.to_vec()
    }
}

fn bound(
    api: &Api,
    claims: &Value,
    audiences: &[String],
) -> Result<(Identity, Vec<String>), TokenError> {
    let now = api.clock.now().as_second();
    if claims["exp"].as_i64().is_none_or(|end| now >= end) {
        return Err(TokenError::Expired);
    }
    if claims["nbf"].as_i64().is_some_and(|start| now < start) {
        return Err(TokenError::NotYet);
    }
    let held = claims["aud"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect::<Vec<_>>();
    let fitting = asked(audiences)
        .into_iter()
        .filter(|audience| held.contains(&&**audience))
        .collect::<Vec<_>>();
    if fitting.is_empty() {
        return Err(TokenError::Audience);
    }
    let facts = &claims["kubernetes.io"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let namespace = text(&facts["namespace"]);
    let (name, uid) = (
        text(&facts["serviceaccount"]["name"]),
        text(&facts["serviceaccount"]["uid"]),
    );
    if uid_of(api, "/serviceaccounts", &namespace, &name) != Some(uid.clone()) {
        return Err(TokenError::Gone("the service account"));
    }
    let mut extra = BTreeMap::new();
    extra.insert(
        "authentication.kubernetes.io/credential-id".to_owned(),
        vec![format!("JTI={}", text(&claims["jti"]))],
    );
    for (member, table, home, what) in [
        ("pod", "/pods", &*namespace, "the pod"),
        ("secret", "/secrets", &*namespace, "the secret"),
        ("node", "/nodes", "", "the node"),
    ] {
        let Some(reference) = facts.get(member) else {
            continue;
        };
        let (name, uid) = (text(&reference["name"]), text(&reference["uid"]));
        // A pod's token also names the node it runs on, which may be gone before the pod is.
        let required = member != "node" || facts.get("pod").is_none();
        if required && uid_of(api, table, home, &name) != Some(uid.clone()) {
            return Err(TokenError::Gone(what));
        }
        if member != "secret" {
            extra.insert(
                format!("authentication.kubernetes.io/{member}-name"),
                vec![name],
            );
            extra.insert(
                format!("authentication.kubernetes.io/{member}-uid"),
                vec![uid],
            );
        }
    }
    Ok((account(&namespace, &name, uid, extra), fitting))
}

fn legacy(
    api: &Api,
    claims: &Value,
    audiences: &[String],
) -> Result<(Identity, Vec<String>), TokenError> {
    let text = |member: &str| {
        claims[format!("kubernetes.io/serviceaccount/{member}")]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (namespace, secret) = (text("namespace"), text("secret.name"));
    let (name, uid) = (text("service-account.name"), text("service-account.uid"));
    if !asked(audiences).iter().any(|audience| audience == ISSUER) {
        return Err(TokenError::Audience);
    }
    if uid_of(api, "/serviceaccounts", &namespace, &name) != Some(uid.clone()) {
        return Err(TokenError::Gone("the service account"));
    }
    if uid_of(api, "/secrets", &namespace, &secret).is_none() {
        return Err(TokenError::Gone("the secret"));
    }
    Ok((
        account(&namespace, &name, uid, BTreeMap::new()),
        vec![ISSUER.to_owned()],
    ))
}

fn account(
    namespace: &str,
    name: &str,
    uid: String,
    extra: BTreeMap<String, Vec<String>>,
) -> Identity {
    Identity {
        user: service_account_user(namespace, name),
        groups: service_account_groups(namespace),
        uid,
        extra,
    }
}

/// What a bound token is made from.
#[derive(Debug)]
pub(super) struct Binding<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
    pub(super) audiences: Vec<String>,
    /// `pod`, `secret` or `node`, with name and uid.
    pub(super) object: Option<(&'static str, String, String)>,
    pub(super) seconds: i64,
}

/// A bound token and when it ends.
pub(super) fn issue(api: &Api, binding: Binding<'_>) -> Result<(String, Timestamp), TokenError> {
    let now = api.clock.now().as_second();
    let end = now + binding.seconds;
    let mut facts = json!({
        "namespace": binding.namespace,
        "serviceaccount": {"name": binding.name, "uid": binding.uid},
    });
    if let Some((kind, name, uid)) = binding.object {
        facts[kind] = json!({"name": name, "uid": uid});
    }
    let audiences = if binding.audiences.is_empty() {
        vec![ISSUER.to_owned()]
    } else {
        binding.audiences
    };
    let claims = json!({
        "aud": audiences,
        "exp": end,
        "iat": now,
        "nbf": now,
        "iss": ISSUER,
        "jti": uuid::Uuid::new_v4().to_string(),
        "kubernetes.io": facts,
        "sub": service_account_user(binding.namespace, binding.name),
    });
    let token = signing_key(api)?.sign(&claims)?;
    Ok((token, Timestamp::from_second(end).unwrap_or(Timestamp::MAX)))
}

/// Puts tokens into Secrets of type `kubernetes.io/service-account-token`, as the token controller of a real control
/// plane does, and removes those whose account is gone.
#[derive(Debug, Default)]
pub(crate) struct TokenSecrets {
    /// Up to which revision secrets and accounts were seen; `None` = never.
    secrets: Option<u64>,
    accounts: Option<u64>,
}

impl TokenSecrets {
    /// One round: the secrets that changed, or all of them after a change of any account.
    pub(crate) async fn round(&mut self, api: &Arc<Api>) {
        let accounts = api.store.table_revision("/serviceaccounts");
        let changed = match self.secrets {
            Some(seen) if self.accounts == Some(accounts) => {
                api.store.events("/secrets", seen, usize::MAX).ok()
            }
            _ => None,
        };
        self.accounts = Some(accounts);
        match changed {
            Some((events, complete)) => {
                self.secrets = Some(complete);
                for event in events {
                    if contains(event.object.bytes(), SECRET_TYPE.as_bytes()) {
                        settle(api, &event.key).await;
                    }
                }
            }
            None => {
                let Ok(page) = api.store.list("/secrets", &Range::default()) else {
                    return;
                };
                self.secrets = Some(page.revision);
                for (key, stored) in page.items {
                    // Most secrets are of other types; their bytes say so without being parsed.
                    if contains(stored.bytes(), SECRET_TYPE.as_bytes()) {
                        settle(api, &key).await;
                    }
                }
            }
        }
    }
}

/// Brings one secret into the state its account wants.
async fn settle(api: &Arc<Api>, key: &Key) {
    let Some(stored) = api.store.get("/secrets", key) else {
        return;
    };
    let mut secret = stored.value();
    if secret["type"] != SECRET_TYPE {
        return;
    }
    let annotation = |name: &str| {
        secret["metadata"]["annotations"][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let account = annotation("kubernetes.io/service-account.name");
    let named_uid = annotation("kubernetes.io/service-account.uid");
    let uid = uid_of(api, "/serviceaccounts", key.namespace(), &account);
    let action = match uid {
        Some(uid) if named_uid.is_empty() || named_uid == uid => {
            if secret["data"]["token"].is_string() {
                return;
            }
            match fill(api, &mut secret, key, &account, &uid) {
                Ok(draft) => ChangeAction::Update(draft, stored.revision),
                Err(problem) => {
                    tracing::warn!(secret = key.as_str(), %problem, "no token for a service account");
                    return;
                }
            }
        }
        // A secret without a uid may have been written before its account.
        None if named_uid.is_empty() => return,
        Some(_) | None => match Draft::new(&secret, stored.mark) {
            Ok(draft) => ChangeAction::Delete(draft, stored.revision),
            Err(_) => return,
        },
    };
    let change = Change {
        table: "/secrets".into(),
        key: key.clone(),
        action,
    };
    if let Err(error) = api.store.write(change).await {
        tracing::debug!(%error, "token secret not written; tried again at the next change");
    }
}

fn fill(
    api: &Api,
    secret: &mut Value,
    key: &Key,
    account: &str,
    uid: &str,
) -> Result<Draft, TokenError> {
    let claims = json!({
        "iss": LEGACY_ISSUER,
        "kubernetes.io/serviceaccount/namespace": key.namespace(),
        "kubernetes.io/serviceaccount/secret.name": key.name(),
        "kubernetes.io/serviceaccount/service-account.name": account,
        "kubernetes.io/serviceaccount/service-account.uid": uid,
        "sub": service_account_user(key.namespace(), account),
    });
    let token = signing_key(api)?.sign(&claims)?;
    if let Some(members) = secret.as_object_mut() {
        let data = members.entry("data").or_insert_with(|| json!({}));
        if let Some(data) = data.as_object_mut() {
            data.insert("token".to_owned(), json!(STANDARD.encode(token)));
            data.insert(
                "namespace".to_owned(),
                json!(STANDARD.encode(key.namespace())),
            );
        }
    }
    if let Some(annotations) = secret
        .pointer_mut("/metadata/annotations")
        .and_then(Value::as_object_mut)
    {
        annotations.insert("kubernetes.io/service-account.uid".to_owned(), json!(uid));
    }
    Draft::new(secret, 0).map_err(|error| TokenError::Key(error.to_string()))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
