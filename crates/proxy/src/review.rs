//! Who somebody is that came to a cluster's own API server: `POST /v3/connect/review`.
//!
//! Owns who may ask and about whom. A cluster shows its registration token and learns of its own people only: of tokens
//! made for that cluster, as far as they could enter it through the hub at this moment. The question is put to the same
//! [`Authenticator`] and [`Gate`] as a request that goes through the hub, and the answer is what [`Proxy`](crate::Proxy)
//! would impersonate.
//!
//! Invariants: a token that is good for more than the cluster that shows it is refused, since that cluster has seen it;
//! nothing tells a wrong token from one that is not for this cluster; no token is ever logged.

use std::sync::Arc;
use std::time::Duration;

use drover_auth::web::{self, Actor, ApiError, Request, Response};
use drover_auth::{Access, AuthError, Authenticator, Identity, Settings};
use drover_types::management::Cluster;
use drover_types::review::{Answer, Question};
use http::header::{AUTHORIZATION, HeaderValue};
use http::{Method, StatusCode, Uri};
use kube::Api;

use crate::chain::Chain;
use crate::connect::Connect;
use crate::gate::{Edge, Gate};
use crate::proxy::reviewed;

/// A name and a key are at most 253 bytes each.
const LARGEST_QUESTION: usize = 4 << 10;
/// Setting: for how long a cluster may rely on an answer while the hub is away.
const OFFLINE: &str = "auth-endpoint-offline-seconds";

/// Answers clusters; clones are the same.
#[derive(Clone, Debug)]
pub struct Reviews {
    connect: Connect,
    clusters: Api<Cluster>,
    gate: Arc<dyn Gate>,
    authenticator: Authenticator,
    settings: Settings,
}

impl Reviews {
    /// Knows clusters by their registration tokens as `connect` does; `client` holds them.
    #[must_use]
    pub fn new(
        connect: Connect,
        client: kube::Client,
        access: Access,
        authenticator: Authenticator,
        settings: Settings,
    ) -> Self {
        let gate = Arc::new(Edge::new(access, authenticator.clone()));
        Self::with_gate(connect, client, gate, authenticator, settings)
    }

    /// With another gate.
    pub(crate) fn with_gate(
        connect: Connect,
        client: kube::Client,
        gate: Arc<dyn Gate>,
        authenticator: Authenticator,
        settings: Settings,
    ) -> Self {
        Self {
            connect,
            clusters: Api::all(client),
            gate,
            authenticator,
            settings,
        }
    }

    /// Answers a question: 200 and an [`Answer`]; 401 without a registration token that holds; 403 for clusters whose
    /// endpoint is not enabled.
    pub async fn handle(&self, request: Request) -> Response {
        match self.answer(request).await {
            Ok((actor, answer)) => {
                let mut response = web::json(StatusCode::OK, &answer);
                response.extensions_mut().insert(actor);
                response
            }
            Err(error) => error.into_response(),
        }
    }

    async fn answer(&self, request: Request) -> Result<(Actor, Answer), ApiError> {
        let (parts, body) = request.into_parts();
        if parts.method != Method::POST {
            return Err(ApiError::method_not_allowed("only POST is allowed here"));
        }
        let asking = self.connect.cluster_of(&parts.headers).await;
        let cluster = asking.map_err(|error| {
            tracing::warn!(error = %Chain(&error), "cannot tell which cluster asks");
            away()
        })?;
        let cluster = cluster.ok_or_else(|| ApiError::unauthorized("failed authentication"))?;
        let body = web::read(&parts.headers, body, LARGEST_QUESTION).await?;
        // What is wrong with it is not repeated: it holds a token.
        let question: Question = serde_json::from_slice(&body)
            .map_err(|_| ApiError::invalid_body("the body is not a question about a token"))?;
        if !self.is_enabled(&cluster).await? {
            return Err(ApiError::forbidden(
                "the endpoint of this cluster is not enabled",
            ));
        }
        let identity = self.entering(&question, &cluster).await?;
        let mut actor = Actor {
            cluster: Some(cluster.clone()),
            ..Actor::default()
        };
        let nobody = Answer {
            user: None,
            holds_for_seconds: 0,
        };
        let Some(identity) = identity else {
            return Ok((actor, nobody));
        };
        actor.user = Some(identity.user.to_string());
        let offline = u64::try_from(self.settings.number(OFFLINE)).unwrap_or_default();
        let lasts = self
            .authenticator
            .lasts(&identity, Duration::from_secs(offline))
            .await;
        let (Ok(groups), Some(lasts)) = (self.gate.enter(&identity, &cluster), lasts) else {
            return Ok((actor, nobody));
        };
        let answer = Answer {
            user: Some(reviewed(&identity, groups)),
            holds_for_seconds: lasts.as_secs(),
        };
        Ok((actor, answer))
    }

    async fn is_enabled(&self, cluster: &str) -> Result<bool, ApiError> {
        match self.clusters.get_opt(cluster).await {
            Ok(found) => Ok(found.is_some_and(|cluster| {
                cluster.metadata.deletion_timestamp.is_none()
                    && cluster.spec.auth_endpoint().enabled
            })),
            Err(error) => {
                tracing::warn!(%cluster, error = %Chain(&error), "the cluster cannot be read");
                Err(away())
            }
        }
    }

    /// Whom the token lets in on the paths of the cluster, if it was made for this cluster alone.
    async fn entering(
        &self,
        question: &Question,
        cluster: &str,
    ) -> Result<Option<Identity>, ApiError> {
        let (Ok(mut bearer), Ok(path)) = (
            HeaderValue::from_str(&format!("Bearer {}", question.token)),
            format!("/k8s/clusters/{cluster}/").parse::<Uri>(),
        ) else {
            return Ok(None);
        };
        bearer.set_sensitive(true);
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.uri = path;
        parts.headers.insert(AUTHORIZATION, bearer);
        match self.authenticator.authenticate(&parts).await {
            Ok(identity) => Ok(identity.filter(|identity| {
                let token = identity.token.as_ref();
                token.and_then(|token| token.cluster.as_deref()) == Some(cluster)
            })),
            Err(AuthError::Refused) => Ok(None),
            Err(error @ AuthError::Silent(_)) => {
                tracing::debug!(%cluster, %error, "nothing is said of a token");
                Err(away())
            }
            Err(AuthError::Store(error)) => {
                tracing::warn!(%cluster, error = %Chain(&error), "a token cannot be looked up");
                Err(away())
            }
        }
    }
}

/// Nothing is known at the moment; a cluster goes by what it was told before.
pub(crate) fn away() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "ServiceUnavailable",
        "the store does not answer",
    )
}
