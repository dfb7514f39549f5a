//! Pages that need no identity: liveness, versions, the authorities to trust, releases of Kubernetes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drover_auth::web::{self, Response};
use drover_types::names::{PEER_VERSION, REGISTRATION_SECRET_PREFIX};
use hmac::{Hmac, KeyInit, Mac};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use sha2::{Digest, Sha256, Sha512};
use tokio::sync::watch;

use crate::route::Page;

/// Longest nonce that is signed, in bytes.
const MAX_NONCE: usize = 512;

/// What the pages show.
pub(crate) struct Public {
    /// The hub's API, for registration tokens.
    pub(crate) client: Client,
    /// PEM of the authorities that clients should trust, as it is now; empty for a public one.
    pub(crate) trusted: watch::Receiver<String>,
}

impl std::fmt::Debug for Public {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Public").finish_non_exhaustive()
    }
}

impl Public {
    /// Answers a page.
    pub(crate) async fn handle(&self, page: Page, request: Parts) -> Response {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            return web::text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        }
        match page {
            Page::Ping => plain("pong"),
            Page::Health => plain("ok"),
            Page::Version => version(),
            Page::Authorities => self.authorities(&request).await,
            Page::Releases(kind) => releases(kind, &request),
        }
    }

    /// The version of the hub's own Kubernetes, which API servers tell everybody (ClusterRole
    /// `system:public-info-viewer`); the peer's dashboard asks for it before anybody logs in.
    pub(crate) async fn kubernetes_version(&self) -> Response {
        let asked = http::Request::get("/version").body(Vec::new());
        let asked = asked.expect("a constant request is one");
        match self.client.request_text(asked).await {
            Ok(version) => {
                let mut response = web::text(StatusCode::OK, version);
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            Err(error) => {
                tracing::warn!(%error, "the version of the Kubernetes API cannot be read");
                web::text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the Kubernetes API does not answer\n",
                )
            }
        }
    }

    /// The PEM with a final newline, or nothing. A caller that shows the hash of a registration token it knows gets
    /// a proof that the answer comes from a server that knows the token too (reference tunnel-and-import, 3.4).
    async fn authorities(&self, request: &Parts) -> Response {
        let trusted = self.trusted.borrow().clone();
        let body = if trusted.is_empty() {
            trusted
        } else {
            format!("{trusted}\n")
        };
        let header = |name: &str| {
            request
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let nonce =
            header("x-cattle-nonce").filter(|nonce| !nonce.is_empty() && nonce.len() <= MAX_NONCE);
        let claim = header(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
        let mut proof = None;
        if let (Some(nonce), Some(claim)) = (nonce, claim) {
            match self.token_with_hash(claim).await {
                Ok(token) => proof = token.map(|token| sign(&token, nonce, &body)),
                Err(error) => {
                    tracing::warn!(%error, "cannot look up registration tokens");
                    return web::text(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "registration tokens cannot be read\n",
                    );
                }
            }
        }
        let mut response = web::text(StatusCode::OK, body);
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if let Some(proof) = proof.and_then(|proof| HeaderValue::from_str(&proof).ok()) {
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-cattle-hash"), proof);
        }
        response
    }

    async fn token_with_hash(&self, claim: &str) -> Result<Option<Vec<u8>>, kube::Error> {
        let secrets: Api<Secret> = Api::all(self.client.clone());
        let all = secrets
            .list(&ListParams::default().fields("type=Opaque"))
            .await?;
        Ok(all
            .items
            .into_iter()
            .filter(|secret| {
                secret
                    .metadata
                    .name
                    .as_deref()
                    .is_some_and(|name| name.starts_with(REGISTRATION_SECRET_PREFIX))
            })
            .flat_map(|secret| secret.data.unwrap_or_default())
            .filter(|(key, _)| key == "token" || key == "previousToken")
            .map(|(_, token)| token.0)
            .find(|token| !token.is_empty() && STANDARD.encode(Sha256::digest(token)) == claim))
    }
}

fn sign(token: &[u8], nonce: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(token).expect("HMAC takes keys of any length");
    for part in [nonce.as_bytes(), body.as_bytes()] {
        mac.update(part);
        mac.update(&[0]);
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// The releases of Kubernetes that clusters can be made of: none, as no clusters are made here yet. Clients read the list
/// before they show or edit an imported cluster, and give up without one.
fn releases(kind: &str, request: &Parts) -> Response {
    let own = format!("{}{}", web::link_base(request), request.uri.path());
    let collection = serde_json::json!({
        "type": "collection", "resourceType": kind, "links": {"self": own}, "actions": {}, "data": [],
    });
    web::json(StatusCode::OK, &collection)
}

fn plain(text: &'static str) -> Response {
    let mut response = web::text(StatusCode::OK, text);
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Clients compare `Version` with what they know of Rancher; `DroverVersion` is ours.
fn version() -> Response {
    let version = serde_json::json!({
        "Version": PEER_VERSION,
        "GitCommit": "HEAD",
        "RancherPrime": "false",
        "DroverVersion": env!("CARGO_PKG_VERSION"),
    });
    let mut response = web::text(StatusCode::OK, version.to_string());
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_the_one_of_the_reference() {
        // Reference tunnel-and-import, section 8, check 4: nonce n1, token tok, no authority.
        assert_eq!(
            sign(b"tok", "n1", ""),
            "NC76ES7D7vaNQVbvl0ULPHWI+SuSGzlzljfyc7lSbn1gccTnWVQKKKGfJ5USvNHFJsTRBnm1E6sy6Z5zOLNRdg=="
        );
        assert_eq!(
            STANDARD.encode(Sha256::digest(b"tok")),
            "GnZ0607njffhrEOak8P6jjyUV4TU3sn9jjARc4svHWI="
        );
    }
}
