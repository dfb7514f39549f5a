//! The checks between this pod and its own cluster.

use drover_dial::Chain;
use drover_types::names::{AGENT_SERVICE_ACCOUNT, SYSTEM_NAMESPACE};
use http::StatusCode;
use serde_json::json;

use super::{Permanence, Report, Step, Verdict};
use crate::{
    config::KubernetesConfig,
    identity::{self, Identity, IdentityError},
    kubernetes::{Api, ApiError},
};

/// What to do about missing rights.
const GRANT: &str = "apply the import manifest again; it grants the rights";

/// Runs the steps; the result is what the hub is told, if all of it was found.
pub(super) async fn examine(config: &KubernetesConfig, report: &mut Report) -> Option<Identity> {
    let api = match reach(config).await {
        Ok((api, version)) => {
            report.add(Verdict::ok(
                Step::KubernetesApi,
                format!("Kubernetes {version} answers at {}", config.address()),
            ));
            api
        }
        Err(error) => {
            report.add(api_verdict(&error, config));
            for step in [
                Step::KubernetesRights,
                Step::ServiceAccountToken,
                Step::RootCa,
            ] {
                report.add(Verdict::skipped(step, Step::KubernetesApi));
            }
            return None;
        }
    };
    report.add(rights(&api).await);
    let token = match identity::service_token(&api, config).await {
        Ok(found) => {
            report.add(match &found.secret {
                Some(secret) => {
                    Verdict::ok(Step::ServiceAccountToken, format!("the Secret {secret} holds a lasting token"))
                }
                None => Verdict::warning(
                    Step::ServiceAccountToken,
                    "no controller filled the token Secret; the hub is given the pod's own token, which expires",
                    "check that kube-controller-manager runs with its serviceaccount-token controller",
                ),
            });
            Some(found.token)
        }
        Err(error) => {
            report.add(token_verdict(&error));
            None
        }
    };
    let ca = match identity::root_ca(&api, config).await {
        Ok(found) => {
            report.add(if found.published {
                Verdict::ok(Step::RootCa, "kube-root-ca.crt holds the CA of the API")
            } else {
                Verdict::warning(
                    Step::RootCa,
                    format!("{SYSTEM_NAMESPACE}/kube-root-ca.crt is missing; the pod's own copy of the CA is used"),
                    "check that kube-controller-manager runs with its root-ca-certificate-publisher controller",
                )
            });
            Some(found.pem)
        }
        Err(error) => {
            let advice = match &error {
                IdentityError::RootCa(_) => GRANT,
                _ => "check that the pod mounts its service account (automountServiceAccountToken)",
            };
            report.add(Verdict::failed(
                Step::RootCa,
                Permanence::MayHeal,
                Chain(&error).to_string(),
                advice,
            ));
            None
        }
    };
    Some(Identity {
        address: config.address(),
        token: token?,
        ca_pem: ca?,
    })
}

async fn reach(config: &KubernetesConfig) -> Result<(Api, String), ApiError> {
    let api = Api::in_cluster(config)?;
    let version = api.get("/version").await?;
    let version = version["gitVersion"]
        .as_str()
        .unwrap_or("of unknown version")
        .to_owned();
    Ok((api, version))
}

fn api_verdict(error: &ApiError, config: &KubernetesConfig) -> Verdict {
    let advice = match error {
        ApiError::File { .. } => {
            "check that the pod mounts its service account (automountServiceAccountToken)".to_owned()
        }
        ApiError::Status { status: StatusCode::UNAUTHORIZED, .. } => {
            "the service account's token is not accepted; restart the pod, check that the account exists".to_owned()
        }
        ApiError::Trust(_)
        | ApiError::Token
        | ApiError::Path { .. }
        | ApiError::Dial(_)
        | ApiError::Exchange { .. }
        | ApiError::Status { .. }
        | ApiError::Json { .. } => format!(
            "check the node's network: from this pod the Service kubernetes.default ({}) has to answer",
            config.address()
        ),
    };
    Verdict::failed(
        Step::KubernetesApi,
        Permanence::MayHeal,
        Chain(error).to_string(),
        advice,
    )
}

/// Asks whether we may do everything, as the import manifest grants.
async fn rights(api: &Api) -> Verdict {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}},
    });
    let advice = format!(
        "apply the import manifest again: ClusterRoleBinding cattle-admin-binding has to bind {SYSTEM_NAMESPACE}/{AGENT_SERVICE_ACCOUNT}"
    );
    match api
        .create(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            &review,
        )
        .await
    {
        Ok(answer) if answer["status"]["allowed"] == true => {
            Verdict::ok(Step::KubernetesRights, "the service account has all rights")
        }
        Ok(_) => Verdict::warning(
            Step::KubernetesRights,
            "the service account does not have all rights; what the hub does for users will fail in places",
            advice,
        ),
        Err(error) => Verdict::warning(Step::KubernetesRights, Chain(&error).to_string(), advice),
    }
}

fn token_verdict(error: &IdentityError) -> Verdict {
    let advice = match error {
        IdentityError::NoServiceAccount => {
            "apply the import manifest again; it makes the service account"
        }
        IdentityError::Api(error) if error.status() == Some(StatusCode::FORBIDDEN) => GRANT,
        IdentityError::NotFilled { .. } => {
            "check that kube-controller-manager runs with its serviceaccount-token controller"
        }
        IdentityError::Api(_)
        | IdentityError::RootCa(_)
        | IdentityError::Encoding { .. }
        | IdentityError::NoCa => {
            "look at the Secrets labelled cattle.io/service-account.name=cattle; removing them makes them anew"
        }
    };
    Verdict::failed(
        Step::ServiceAccountToken,
        Permanence::MayHeal,
        Chain(error).to_string(),
        advice,
    )
}
