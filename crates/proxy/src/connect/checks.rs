//! What an agent found out before it connected: `POST /v3/connect/checks`.
//!
//! Owns who may tell (whoever shows the cluster's registration token, of that cluster alone) and what is kept: what was
//! told last, as an annotation of the Cluster, for people who wait for it. Nothing is decided by it.

use std::collections::BTreeMap;

use drover_auth::settings::authority_checksum;
use drover_auth::web::{self, Actor, ApiError, Request, Response};
use drover_types::checks::{ANNOTATION, Checks};
use drover_types::management::Cluster;
use http::Method;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::Connect;
use crate::chain::Chain;
use crate::review::away;

/// Setting: the authority that agents are asked to trust.
const CA_CERTIFICATES: &str = "cacerts";
/// About a dozen checks of a few sentences.
const LARGEST: usize = 32 << 10;

impl Connect {
    /// 204; 401 without a registration token that holds, 404 when the cluster is gone.
    pub(super) async fn take_checks(&self, request: Request) -> Response {
        match self.keep_checks(request).await {
            Ok(cluster) => {
                let mut response = web::no_content();
                response.extensions_mut().insert(Actor {
                    cluster: Some(cluster),
                    ..Actor::default()
                });
                response
            }
            Err(error) => error.into_response(),
        }
    }

    async fn keep_checks(&self, request: Request) -> Result<String, ApiError> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(ApiError::method_not_allowed("only POST is allowed here"));
        }
        let cluster = self.cluster_of(&parts.headers).await.map_err(|error| {
            tracing::warn!(error = %Chain(&error), "cannot tell whose checks these are");
            away()
        })?;
        let cluster = cluster.ok_or_else(|| ApiError::unauthorized("failed authentication"))?;
        let body = web::read(&parts.headers, body, LARGEST).await?;
        let told: Checks = serde_json::from_slice(&body).map_err(|error| {
            ApiError::invalid_body(format!("the body tells of no checks: {error}"))
        })?;
        let told = Checks {
            authority: self.authority().await,
            ..told.bounded()
        };
        store(&self.inner.described, &cluster, &told)
            .await
            .map_err(|error| {
                tracing::warn!(%cluster, error = %Chain(&error), "what an agent found cannot be kept");
                away()
            })?
            .then_some(cluster)
            .ok_or_else(|| ApiError::not_found("cluster not found"))
    }
}

impl Connect {
    /// The checksum of the authority that agents are asked to trust now; empty if that cannot be read, which nobody is kept
    /// waiting for.
    async fn authority(&self) -> String {
        match self.inner.settings.get_opt(CA_CERTIFICATES).await {
            Ok(setting) => {
                authority_checksum(&setting.map(|setting| setting.value).unwrap_or_default())
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the authority that agents trust cannot be read");
                String::new()
            }
        }
    }
}

/// Written only when it says something else; whether there is such a cluster.
async fn store(clusters: &Api<Cluster>, name: &str, told: &Checks) -> Result<bool, kube::Error> {
    let Some(cluster) = clusters.get_opt(name).await? else {
        return Ok(false);
    };
    if cluster.metadata.deletion_timestamp.is_some() {
        return Ok(false);
    }
    let known = cluster.metadata.annotations.as_ref();
    let known = known
        .and_then(|all| all.get(ANNOTATION))
        .and_then(|text| serde_json::from_str::<Checks>(text).ok());
    if known.is_some_and(|known| known.says_the_same_as(told)) {
        return Ok(true);
    }
    let text = serde_json::to_string(told).map_err(kube::Error::SerdeError)?;
    let annotations = BTreeMap::from([(ANNOTATION, text)]);
    let patch = json!({ "metadata": { "annotations": annotations } });
    clusters
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    tracing::info!(
        cluster = name,
        ready = told.ready,
        "an agent told what it found"
    );
    Ok(true)
}
