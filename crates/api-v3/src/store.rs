//! Objects in the management cluster's Kubernetes API.
//!
//! Owns paths and verbs; works on plain JSON so that no field of an object is
//! ever lost on the way. Every read goes to the API: what was just written is
//! seen by the next read.

use drover_api::keeper::Written;
use drover_auth::namespaces;
use drover_auth::web::ApiError;
use drover_types::management::{GROUP, VERSION};
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::schema::Object;
use crate::urls::segment;

/// Items per request of a list.
const CHUNK: usize = 500;

/// Access to objects with the server's own rights; who may do what is decided before.
#[derive(Clone)]
pub(crate) struct Store {
    client: kube::Client,
    api: Api,
}

/// The group and version that a store's objects are of.
#[derive(Clone, Copy, Debug)]
enum Api {
    Management,
    /// `v1`, or a group and version.
    Of(&'static str),
}

impl Api {
    fn version(self) -> String {
        match self {
            Self::Management => format!("{GROUP}/{VERSION}"),
            Self::Of(version) => version.to_owned(),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    pub(crate) fn new(client: kube::Client) -> Self {
        Self {
            client,
            api: Api::Management,
        }
    }

    /// Objects of the core group, in a cluster.
    pub(crate) fn of_core(client: kube::Client) -> Self {
        Self::of(client, "v1")
    }

    /// Objects of a group and version, as in `apps/v1`.
    pub(crate) fn of(client: kube::Client, version: &'static str) -> Self {
        Self {
            client,
            api: Api::Of(version),
        }
    }

    pub(crate) fn client(&self) -> &kube::Client {
        &self.client
    }

    pub(crate) async fn list(
        &self,
        object: Object,
        namespace: Option<&str>,
    ) -> Result<Vec<Value>, ApiError> {
        let path = path(self.api, object, namespace, None);
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let url = if next.is_empty() {
                format!("{path}?limit={CHUNK}")
            } else {
                let token: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                format!("{path}?limit={CHUNK}&continue={token}")
            };
            let mut list: Value = self.send(Method::GET, &url, None).await?;
            if let Some(page) = list.get_mut("items").and_then(Value::as_array_mut) {
                items.append(page);
            }
            match list.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => token.clone_into(&mut next),
                _ => return Ok(items),
            }
        }
    }

    pub(crate) async fn get(
        &self,
        object: Object,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Value, ApiError> {
        self.send(
            Method::GET,
            &path(self.api, object, namespace, Some(name)),
            None,
        )
        .await
    }

    /// [`Store::get`] where a missing object is an answer.
    pub(crate) async fn find(
        &self,
        object: Object,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, ApiError> {
        match self.get(object, namespace, name).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.status == http::StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn create(
        &self,
        object: Object,
        namespace: Option<&str>,
        mut body: Value,
    ) -> Result<Value, ApiError> {
        body["apiVersion"] = json!(self.api.version());
        body["kind"] = json!(object.kind);
        self.send(
            Method::POST,
            &path(self.api, object, namespace, None),
            Some(&body),
        )
        .await
    }

    /// Replaces an object; its `metadata` must come from a read.
    pub(crate) async fn replace(&self, object: Object, body: &Value) -> Result<Value, ApiError> {
        let namespace = crate::mapping::namespace(body);
        let path = path(
            self.api,
            object,
            namespace,
            Some(crate::mapping::name(body)),
        );
        self.send(Method::PUT, &path, Some(body)).await
    }

    /// Deletes an object and what it owns, in the background.
    pub(crate) async fn delete(
        &self,
        object: Object,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(), ApiError> {
        let options =
            json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        self.send(
            Method::DELETE,
            &path(self.api, object, namespace, Some(name)),
            Some(&options),
        )
        .await
        .map(|_| ())
    }

    /// A value of a Secret; `None` if the Secret or the key is not there.
    pub(crate) async fn secret(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> Result<Option<String>, ApiError> {
        use base64::Engine as _;
        let url = format!(
            "/api/v1/namespaces/{}/secrets/{}",
            segment(namespace),
            segment(name)
        );
        let secret = match self.send(Method::GET, &url, None).await {
            Ok(secret) => secret,
            Err(error) if error.status == http::StatusCode::NOT_FOUND => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = secret
            .get("data")
            .and_then(|data| data.get(key))
            .and_then(Value::as_str)
            .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Makes a namespace of the hub's own if it is not there.
    pub(crate) async fn ensure_namespace(&self, name: &str) -> Result<(), ApiError> {
        Ok(namespaces::ensure(&self.client, name).await?)
    }

    /// One request as it is, at a namespace and a name; `query` is already encoded.
    ///
    /// # Errors
    /// What the API server refuses.
    pub(crate) async fn write(
        &self,
        method: Method,
        object: Object,
        (namespace, name): (Option<&str>, Option<&str>),
        query: &str,
        (media_type, body): (&str, &[u8]),
    ) -> Result<Written, ApiError> {
        let mut url = path(self.api, object, namespace, name);
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let request = http::Request::builder()
            .method(method)
            .uri(url)
            .header(http::header::CONTENT_TYPE, media_type)
            .body(kube::client::Body::from(body.to_vec()))
            .map_err(|error| ApiError::server_error(error.to_string()))?;
        let answer = self.client.send(request).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| {
            tracing::warn!(%error, "an answer of the store broke off");
            ApiError::new(
                http::StatusCode::SERVICE_UNAVAILABLE,
                "ServerError",
                "the store did not answer",
            )
        })?;
        let bytes = body.to_bytes();
        if !parts.status.is_success() {
            let status =
                serde_json::from_slice(&bytes).unwrap_or_else(|_| unreadable(parts.status, &bytes));
            return Err(ApiError::from(kube::Error::Api(Box::new(status))));
        }
        let object = serde_json::from_slice(&bytes)
            .map_err(|error| ApiError::server_error(error.to_string()))?;
        let warnings = parts.headers.get_all(http::header::WARNING);
        Ok(Written {
            object,
            warnings: warnings.iter().cloned().collect(),
        })
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        body: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let bytes = match body {
            Some(body) => serde_json::to_vec(body)
                .map_err(|error| ApiError::server_error(error.to_string()))?,
            None => Vec::new(),
        };
        let mut request = http::Request::builder().method(method).uri(url);
        if !bytes.is_empty() {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(bytes)
            .map_err(|error| ApiError::server_error(error.to_string()))?;
        self.client
            .request::<Value>(request)
            .await
            .map_err(ApiError::from)
    }
}

/// A refusal that is no Status of Kubernetes.
fn unreadable(status: http::StatusCode, body: &[u8]) -> kube::core::Status {
    let text = String::from_utf8_lossy(&body[..body.len().min(512)]);
    kube::core::Status::failure(&text, "").with_code(status.as_u16())
}

fn path(api: Api, object: Object, namespace: Option<&str>, name: Option<&str>) -> String {
    let mut path = match api {
        Api::Management => format!("/apis/{GROUP}/{VERSION}"),
        Api::Of("v1") => "/api/v1".to_owned(),
        Api::Of(version) => format!("/apis/{version}"),
    };
    if let Some(namespace) = namespace.filter(|_| object.namespaced) {
        path.push_str("/namespaces/");
        path.push_str(&segment(namespace));
    }
    path.push('/');
    path.push_str(object.resource);
    if let Some(name) = name {
        path.push('/');
        path.push_str(&segment(name));
    }
    path
}
