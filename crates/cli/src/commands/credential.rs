//! `drover token`: credentials for kubectl and other Kubernetes clients, by the exec plugin protocol.
//!
//! The protocol is `client.authentication.k8s.io`: the client tells its version in `KUBERNETES_EXEC_INFO` and reads an
//! `ExecCredential` from standard output. Tokens are those of the kubeconfigs that `drover kubectl` keeps.

use serde_json::{Value, json};

use super::{Invocation, cluster, id, kubectl};
use crate::{Environment, arguments::TokenArguments, error::CliError};

const GROUP: &str = "client.authentication.k8s.io";

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    arguments: TokenArguments,
) -> Result<(), CliError> {
    let version = version(invocation.environment)?;
    let api = invocation.api()?;
    let name = match (&arguments.cluster, &invocation.context()?.1.cluster) {
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) => {
            return Err(CliError::Usage(
                "which cluster? name it with --cluster, or choose one with: drover clusters use NAME"
                    .to_owned(),
            ));
        }
    };
    let found = cluster(&api, &name).await?;
    let token = kubectl::credential(invocation, &api, id(&found)?).await?;
    let mut status = json!({"token": token.token});
    if let Some(expiry) = token.expires_at {
        status["expirationTimestamp"] = expiry.into();
    }
    let credential = json!({
        "apiVersion": format!("{GROUP}/{version}"), "kind": "ExecCredential", "status": status,
    });
    invocation.say(&format!("{credential}\n"))
}

/// The version the client asked for.
fn version(environment: &Environment) -> Result<String, CliError> {
    let Some(info) = environment.get("KUBERNETES_EXEC_INFO") else {
        return Ok("v1".to_owned());
    };
    let info: Value = serde_json::from_str(info)
        .map_err(|_| CliError::Usage("KUBERNETES_EXEC_INFO is not JSON".to_owned()))?;
    match info["apiVersion"]
        .as_str()
        .and_then(|text| text.split_once('/'))
    {
        Some((GROUP, version @ ("v1" | "v1beta1"))) => Ok(version.to_owned()),
        _ => Err(CliError::Usage(format!(
            "KUBERNETES_EXEC_INFO asks for {}; {GROUP}/v1 and v1beta1 are known",
            info["apiVersion"]
        ))),
    }
}

/// The kubeconfig with this command in place of its tokens.
///
/// # Errors
///
/// When it is no kubeconfig.
pub(super) fn with_plugin(config: &str, context: &str, cluster: &str) -> Result<String, CliError> {
    let unreadable = |problem: String| CliError::Answer {
        what: "the kubeconfig of the server".to_owned(),
        problem,
    };
    let mut config: Value =
        serde_saphyr::from_str(config).map_err(|error| unreadable(error.to_string()))?;
    let users = config["users"]
        .as_array_mut()
        .ok_or_else(|| unreadable("it has no users".to_owned()))?;
    for user in users {
        user["user"] = json!({"exec": {
            "apiVersion": format!("{GROUP}/v1"),
            "command": "drover",
            "args": ["token", "--context", context, "--cluster", cluster],
            "interactiveMode": "Never",
            "installHint": "drover is the command line of the server that this kubeconfig comes from",
        }});
    }
    serde_saphyr::to_string(&config).map_err(|error| CliError::Output {
        format: "YAML",
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_asked_for() {
        let of = |info: &str| version(&Environment::from_iter([("KUBERNETES_EXEC_INFO", info)]));
        assert_eq!(version(&Environment::default()).unwrap(), "v1");
        let asked =
            r#"{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential"}"#;
        assert_eq!(of(asked).unwrap(), "v1beta1");
        let other = asked.replace("v1beta1", "v2");
        assert!(of(&other).unwrap_err().to_string().contains("v2"));
        assert!(of("{").is_err());
    }

    #[test]
    fn a_kubeconfig_loses_its_token_to_the_plugin() {
        let config = "clusters: []\nusers:\n- name: a\n  user:\n    token: name:key\n";
        let config = with_plugin(config, "lab", "c-aaaaa").unwrap();
        assert!(!config.contains("name:key"), "{config}");
        let config: Value = serde_saphyr::from_str(&config).unwrap();
        assert_eq!(
            config["users"][0]["user"]["exec"]["args"],
            json!(["token", "--context", "lab", "--cluster", "c-aaaaa"])
        );
    }
}
