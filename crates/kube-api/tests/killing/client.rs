//! HTTP over a Unix socket; an error means that the server died.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::Mutex;

pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// The server went away in the middle of it.
#[derive(Debug)]
pub(crate) struct Gone;

/// One connection.
pub(crate) struct Client(Mutex<SendRequest<Full<Bytes>>>);

impl Client {
    pub(crate) async fn try_connect(socket: &Path) -> Result<Self, Gone> {
        let stream = UnixStream::connect(socket).await.map_err(|_| Gone)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Gone)?;
        // It ends with the server; requests see it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(Mutex::new(sender)))
    }

    async fn send(
        &self,
        method: Method,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<http::Response<Incoming>, Gone> {
        let bytes = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("host", "test")
            .header("content-type", "application/json")
            .body(Full::from(bytes))
            .expect("a request");
        let mut sender = self.0.lock().await;
        sender.ready().await.map_err(|_| Gone)?;
        sender.send_request(request).await.map_err(|_| Gone)
    }

    /// The whole answer.
    pub(crate) async fn call(
        &self,
        method: Method,
        uri: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Gone> {
        let response = self.send(method, uri, body).await?;
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|_| Gone)?
            .to_bytes();
        Ok((status, serde_json::from_slice(&bytes).expect("JSON")))
    }

    /// A watch; uses up the connection.
    pub(crate) async fn watch(&self, uri: &str) -> Result<Result<Lines, StatusCode>, Gone> {
        let response = self.send(Method::GET, uri, None).await?;
        if response.status() != StatusCode::OK {
            return Ok(Err(response.status()));
        }
        Ok(Ok(Lines {
            body: response.into_body(),
            buffer: BytesMut::new(),
        }))
    }
}

/// The events of a watch.
pub(crate) struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next whole event.
    pub(crate) async fn next(&mut self) -> Result<Value, Gone> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                return Ok(serde_json::from_slice(&line).expect("a JSON line"));
            }
            let frame = self.body.frame().await.ok_or(Gone)?.map_err(|_| Gone)?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

pub(crate) fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a revision")
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}
