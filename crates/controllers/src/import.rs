//! `GET /v3/import/<token>_<cluster>.yaml`: the manifest for people.
//!
//! Owns the route's answers (reference 3.2). The token in the path is the
//! only credential: nothing is told without it, and a foreign token is as
//! good as an unknown cluster.

use drover_auth::web::{self, Request, Response};
use drover_types::management::Cluster;
use drover_types::names::REGISTRATION_SECRET_PREFIX;
use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client};
use sha2::{Digest as _, Sha256};

use crate::manifest::{self, Inputs, InputsError};
use crate::plan::chain;
use crate::pull_secrets;
use crate::settings::Settings;

/// Where the route begins.
pub const PREFIX: &str = "/v3/import/";

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("no such file")]
    NotFound,
    #[error("cluster not found or invalid token")]
    Unknown,
    #[error("invalid authImage - {0:?} is not an image reference")]
    AuthImage(String),
    #[error("the hub's objects cannot be read")]
    Read(#[from] kube::Error),
    #[error(transparent)]
    Inputs(#[from] InputsError),
    #[error("the manifest cannot be written")]
    Write(#[from] serde_json::Error),
}

/// Answers for import manifests.
#[derive(Clone)]
pub struct ImportApi {
    client: Client,
}

impl std::fmt::Debug for ImportApi {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ImportApi").finish_non_exhaustive()
    }
}

impl ImportApi {
    /// Manifests from the hub's objects.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Answers a request below [`PREFIX`].
    pub async fn handle(&self, request: Request) -> Response {
        let (parts, _body) = request.into_parts();
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return web::text(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed here\n");
        }
        match self.manifest(&parts).await {
            Ok(manifest) => web::text(StatusCode::OK, manifest),
            Err(error) => refusal(&error),
        }
    }

    /// The manifest of a cluster as its owners may download it, for the API's `importYaml`.
    ///
    /// # Errors
    /// A sentence for people.
    pub async fn yaml(
        &self,
        cluster: &str,
        token: &str,
        server_url: &str,
    ) -> Result<String, String> {
        self.build(cluster, token, server_url, None)
            .await
            .map_err(|error| chain(&error))
    }

    async fn manifest(&self, parts: &http::request::Parts) -> Result<String, ImportError> {
        let file = parts.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let (token, cluster) = file
            .strip_suffix(".yaml")
            .and_then(|name| name.split_once('_'))
            .ok_or(ImportError::NotFound)?;
        let query = parts.uri.query().unwrap_or_default();
        let auth_image = form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "authImage")
            .map(|(_, value)| value.into_owned());
        self.build(cluster, token, &web::link_base(parts), auth_image)
            .await
    }

    async fn build(
        &self,
        cluster: &str,
        token: &str,
        from_request: &str,
        auth_image: Option<String>,
    ) -> Result<String, ImportError> {
        if !is_id(cluster) || token.is_empty() || !self.is_token_of(cluster, token).await? {
            return Err(ImportError::Unknown);
        }
        let object = Api::<Cluster>::all(self.client.clone())
            .get_opt(cluster)
            .await?
            .ok_or(ImportError::Unknown)?;
        let settings = Settings::read(&self.client).await?;
        let url = if settings.server_url().is_empty() {
            from_request
        } else {
            settings.server_url()
        };
        let mut inputs = Inputs::for_download(&object, &settings, url, token)?;
        inputs.pull_secrets = pull_secrets::read(&self.client, &object, &settings).await?;
        inputs.auth_image = match auth_image.as_deref() {
            None | Some("") => None,
            Some("fixed") => Some(settings.get("auth-image").to_owned()),
            Some(image) if is_image(image) => Some(image.to_owned()),
            Some(other) => return Err(ImportError::AuthImage(other.to_owned())),
        };
        Ok(manifest::document(&inputs)?)
    }

    /// Whether a token, or one just rotated, belongs to the cluster. Hashes
    /// are compared, so that the time taken tells nothing.
    async fn is_token_of(&self, cluster: &str, token: &str) -> Result<bool, kube::Error> {
        let secrets = Api::<Secret>::namespaced(self.client.clone(), cluster)
            .list(&ListParams::default())
            .await?;
        let hash = Sha256::digest(token.as_bytes());
        let mut found = false;
        for secret in secrets {
            let name = secret.metadata.name.as_deref().unwrap_or_default();
            if !name.starts_with(REGISTRATION_SECRET_PREFIX) {
                continue;
            }
            for key in ["token", "previousToken"] {
                let held = secret
                    .data
                    .as_ref()
                    .and_then(|data| data.get(key))
                    .filter(|held| !held.0.is_empty());
                found |= held.is_some_and(|held| Sha256::digest(&held.0) == hash);
            }
        }
        Ok(found)
    }
}

fn refusal(error: &ImportError) -> Response {
    let status = match error {
        ImportError::NotFound => return web::text(StatusCode::NOT_FOUND, "404 page not found\n"),
        ImportError::Unknown | ImportError::AuthImage(_) => StatusCode::BAD_REQUEST,
        ImportError::Read(_) | ImportError::Inputs(_) | ImportError::Write(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    if status.is_server_error() {
        tracing::error!(error = chain(error), "no import manifest");
    }
    web::text(status, error.to_string())
}

/// Whether a text can be a cluster's id: an object's name, and nothing that means something in a URL.
fn is_id(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether a text is an image reference: `[host[:port]/]path[:tag][@digest]`
/// (opencontainers distribution specification, "Pulling manifests", and
/// distribution's reference grammar).
fn is_image(text: &str) -> bool {
    if text.len() > 512 {
        return false;
    }
    let (rest, digest) = text
        .split_once('@')
        .map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    let is_hex = |text: &str| text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digest.is_some_and(|digest| !digest.split_once(':').is_some_and(|(_, hash)| is_hex(hash))) {
        return false;
    }
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (rest, None),
    };
    let is_tag = |tag: &str| {
        (1..=128).contains(&tag.len())
            && !tag.starts_with(['.', '-'])
            && tag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return false;
    }
    let parts: Vec<&str> = path.split('/').collect();
    let is_host = |part: &str| {
        let (host, port) = part
            .split_once(':')
            .map_or((part, None), |(host, port)| (host, Some(port)));
        (host == "localhost" || host.contains('.') || port.is_some())
            && !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
            && port.is_none_or(|port| {
                !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
            })
    };
    let is_part = |part: &str| {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        part.bytes().next().is_some_and(is_word)
            && part.bytes().last().is_some_and(is_word)
            && part
                .bytes()
                .all(|byte| is_word(byte) || matches!(byte, b'.' | b'_' | b'-'))
    };
    let from = usize::from(parts.len() > 1 && is_host(parts[0]));
    parts[from..].iter().all(|part| is_part(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_references_are_told_from_anything_else() {
        for image in [
            "nginx",
            "rancher/kube-api-auth:v0.15.1",
            "registry.example:5000/a/b_c@sha256:0123456789abcdef0123456789abcdef",
            "localhost/x",
        ] {
            assert!(is_image(image), "{image}");
        }
        for other in [
            "",
            " ",
            "A/b",
            "a b",
            "a:",
            "a:-x",
            "a//b",
            "a@x",
            "x\nkind: Secret",
            "-a",
        ] {
            assert!(!is_image(other), "{other:?}");
        }
    }

    #[test]
    fn ids_hold_nothing_that_means_something_in_a_url() {
        assert!(is_id("c-abcde") && is_id("local"));
        for other in ["", "a/b", "..", "C-A", "a_b", "a%2f"] {
            assert!(!is_id(other), "{other}");
        }
    }
}
