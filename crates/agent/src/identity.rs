//! What the hub is told to reach the cluster's API: address, CA, and a token that outlives the pod.
//!
//! The hub keeps the token, so the pod's own short-lived one will not do: a Secret of type
//! `kubernetes.io/service-account-token` is made once, labelled and named on the service account as the peer does it
//! (`pkg/serviceaccounttoken` of `rancher/rancher`), so that either agent finds the other's.
//!
//! Repeating it is harmless. Two replicas that start together use the same fixed name and cannot make two.

use std::{fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use drover_dial::trust::certificates;
use drover_types::names::{AGENT_SERVICE_ACCOUNT, SYSTEM_NAMESPACE};
use http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    config::KubernetesConfig,
    kubernetes::{Api, ApiError},
};

const TOKEN_LABEL: &str = "cattle.io/service-account.name";
const TOKEN_REFERENCE: &str = "rancher.io/service-account.secret-ref";
const ACCOUNT_ANNOTATION: &str = "kubernetes.io/service-account.name";
const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
/// The token controller fills the Secret within milliseconds when it runs at all.
const FILL_DEADLINE: Duration = Duration::from_secs(10);
const FILL_POLL: Duration = Duration::from_millis(50);

/// Why the hub cannot be told how to reach the cluster.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The service account of the import manifest is missing.
    #[error("the service account {SYSTEM_NAMESPACE}/{AGENT_SERVICE_ACCOUNT} does not exist")]
    NoServiceAccount,
    /// The API refused or was not reached.
    #[error("cannot ensure the token of the service account")]
    Api(#[from] ApiError),
    /// The ConfigMap with the CA cannot be read.
    #[error("cannot read the ConfigMap {SYSTEM_NAMESPACE}/kube-root-ca.crt")]
    RootCa(#[source] ApiError),
    /// Nothing filled the Secret, and the pod has no token file either.
    #[error("the Secret {secret} got no token within {} s, and the pod's own token cannot be read", FILL_DEADLINE.as_secs())]
    NotFilled {
        /// The Secret.
        secret: String,
    },
    /// A Secret's content is not base64.
    #[error("the Secret {secret} does not hold base64")]
    Encoding {
        /// The Secret.
        secret: String,
    },
    /// No CA is to be found.
    #[error(
        "neither ConfigMap {SYSTEM_NAMESPACE}/kube-root-ca.crt nor the service account folder holds a CA"
    )]
    NoCa,
}

/// A token and where it came from.
#[derive(Clone, Debug)]
pub struct ServiceToken {
    /// The token.
    pub token: SecretString,
    /// The Secret that holds it; none for the pod's own token, which expires.
    pub secret: Option<String>,
}

/// A CA and where it came from.
#[derive(Clone, Debug)]
pub struct RootCa {
    /// PEM text.
    pub pem: String,
    /// Whether it came from `kube-root-ca.crt`; otherwise from the service account folder.
    pub published: bool,
}

/// All that the hub is told.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `host:port` of the API inside the cluster.
    pub address: String,
    /// The token.
    pub token: SecretString,
    /// The CA, PEM.
    pub ca_pem: String,
}

impl Identity {
    /// The value of `X-API-Tunnel-Params`: padded base64 of JSON (peer: `cmd/agent/main.go`).
    #[must_use]
    pub fn tunnel_params(&self) -> String {
        let params = json!({"cluster": {
            "address": self.address,
            "token": self.token.expose_secret(),
            "caCert": STANDARD.encode(&self.ca_pem),
        }});
        STANDARD.encode(params.to_string())
    }
}

/// The long-lived token, made if there is none.
pub async fn service_token(
    api: &Api,
    config: &KubernetesConfig,
) -> Result<ServiceToken, IdentityError> {
    let account_path =
        format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts/{AGENT_SERVICE_ACCOUNT}");
    let account = api
        .find(&account_path)
        .await?
        .ok_or(IdentityError::NoServiceAccount)?;
    let secrets = format!("/api/v1/namespaces/{SYSTEM_NAMESPACE}/secrets");
    let mut found = None;
    api.list(
        &secrets,
        &format!("{TOKEN_LABEL}={AGENT_SERVICE_ACCOUNT}"),
        |secret| {
            if belongs(&secret) && (found.is_none() || token_of(&secret).is_some()) {
                found = Some(secret);
            }
        },
    )
    .await?;
    let secret = match found {
        Some(secret) => secret,
        None => create(api, &secrets, &account).await?,
    };
    let name = secret["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if account["metadata"]["annotations"][TOKEN_REFERENCE]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        let reference = json!({"metadata": {"annotations": {TOKEN_REFERENCE: format!("{SYSTEM_NAMESPACE}/{name}")}}});
        api.patch(&account_path, &reference).await?;
    }
    let deadline = Instant::now() + FILL_DEADLINE;
    let mut secret = secret;
    loop {
        if let Some(encoded) = token_of(&secret) {
            let decoded = STANDARD
                .decode(encoded)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let token = decoded.ok_or_else(|| IdentityError::Encoding {
                secret: name.clone(),
            })?;
            return Ok(ServiceToken {
                token: SecretString::from(token.trim()),
                secret: Some(name),
            });
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(FILL_POLL).await;
        secret = api.get(&format!("{secrets}/{name}")).await?;
    }
    match fs::read_to_string(config.service_account_dir.join("token")) {
        Ok(token) if !token.trim().is_empty() => Ok(ServiceToken {
            token: SecretString::from(token.trim()),
            secret: None,
        }),
        Ok(_) | Err(_) => Err(IdentityError::NotFilled { secret: name }),
    }
}

/// The CA of the cluster's API.
pub async fn root_ca(api: &Api, config: &KubernetesConfig) -> Result<RootCa, IdentityError> {
    let map = api
        .find(&format!(
            "/api/v1/namespaces/{SYSTEM_NAMESPACE}/configmaps/kube-root-ca.crt"
        ))
        .await
        .map_err(IdentityError::RootCa)?;
    if let Some(pem) = map.as_ref().and_then(|map| map["data"]["ca.crt"].as_str())
        && certificates(pem.as_bytes(), "kube-root-ca.crt").is_ok()
    {
        return Ok(RootCa {
            pem: pem.to_owned(),
            published: true,
        });
    }
    let pem = fs::read_to_string(config.service_account_dir.join("ca.crt"))
        .map_err(|_| IdentityError::NoCa)?;
    certificates(pem.as_bytes(), "ca.crt").map_err(|_| IdentityError::NoCa)?;
    Ok(RootCa {
        pem,
        published: false,
    })
}

async fn create(api: &Api, secrets: &str, account: &Value) -> Result<Value, IdentityError> {
    let name = format!("{AGENT_SERVICE_ACCOUNT}-token");
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": TOKEN_TYPE,
        "metadata": {
            "name": name,
            "namespace": SYSTEM_NAMESPACE,
            "annotations": {ACCOUNT_ANNOTATION: AGENT_SERVICE_ACCOUNT},
            "labels": {TOKEN_LABEL: AGENT_SERVICE_ACCOUNT},
            "ownerReferences": [{
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "name": AGENT_SERVICE_ACCOUNT,
                "uid": account["metadata"]["uid"],
            }],
        },
    });
    match api.create(secrets, &secret).await {
        Ok(created) => Ok(created),
        // Another replica was quicker.
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => {
            Ok(api.get(&format!("{secrets}/{name}")).await?)
        }
        Err(error) => Err(error.into()),
    }
}

fn belongs(secret: &Value) -> bool {
    secret["type"] == TOKEN_TYPE
        && secret["metadata"]["annotations"][ACCOUNT_ANNOTATION] == AGENT_SERVICE_ACCOUNT
}

fn token_of(secret: &Value) -> Option<&str> {
    secret["data"]["token"]
        .as_str()
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::Value;

    use super::Identity;

    #[test]
    fn tunnel_params_are_base64_json_with_a_base64_ca_inside() {
        let identity = Identity {
            address: "10.43.0.1:443".to_owned(),
            token: "tok".into(),
            ca_pem: "pem\n".to_owned(),
        };
        let json: Value =
            serde_json::from_slice(&STANDARD.decode(identity.tunnel_params()).unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"cluster": {"address": "10.43.0.1:443", "token": "tok", "caCert": "cGVtCg=="}})
        );
        assert!(!format!("{identity:?}").contains("tok\""));
    }
}
