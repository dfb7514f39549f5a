//! A client of event streams: websockets that carry JSON.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::load;

/// How long a frame may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open stream.
#[derive(Debug)]
pub struct Socket(WebSocketStream<TlsStream<TcpStream>>);

/// What became of a handshake.
#[derive(Debug)]
pub enum Opened {
    /// The stream.
    Stream(Box<Socket>),
    /// The status of the refusal.
    Refused(u16),
}

impl Socket {
    /// Opens a stream with a token; the refusal of the server is no failure.
    ///
    /// # Errors
    ///
    /// When there is no connection or no answer.
    pub async fn open(address: (Ipv4Addr, u16), path: &str, token: Option<&str>) -> Result<Opened> {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&'static str, &str)> = bearer
            .iter()
            .map(|bearer| ("authorization", bearer.as_str()))
            .collect();
        Self::open_with(address, path, &headers).await
    }

    /// Opens a stream with headers.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub async fn open_with(
        address: (Ipv4Addr, u16),
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Opened> {
        let mut request =
            format!("wss://{}:{}{path}", address.0, address.1).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse()?);
        }
        let stream = load::connect(address).await?;
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Opened::Stream(Box::new(Self(socket)))),
            Err(Error::Http(answer)) => Ok(Opened::Refused(answer.status().as_u16())),
            Err(other) => Err(other).context("the handshake"),
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// When the stream has ended.
    pub async fn say(&mut self, frame: &Value) -> Result<()> {
        self.0.send(Message::text(frame.to_string())).await?;
        Ok(())
    }

    /// Sends a text as it is.
    ///
    /// # Errors
    ///
    /// When the stream has ended.
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        self.0.send(Message::text(text)).await?;
        Ok(())
    }

    /// The next text as it is; `None` when the server closed the stream.
    ///
    /// # Errors
    ///
    /// When none comes in time.
    pub async fn next_text(&mut self) -> Result<Option<String>> {
        let text = async {
            loop {
                match self.0.next().await {
                    Some(Ok(Message::Text(text))) => return Some(text.to_string()),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                    Some(Ok(_)) => {}
                }
            }
        };
        tokio::time::timeout(PATIENCE, text)
            .await
            .context("no frame in time")
    }

    /// The next frame that is no ping of the API; `None` when the server closed the stream.
    ///
    /// # Errors
    ///
    /// When none comes in time, or it is not JSON.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        let frame = async {
            while let Some(text) = self.next_text().await? {
                let frame: Value = serde_json::from_str(&text)?;
                if frame["name"] != "ping" {
                    return Ok(Some(frame));
                }
            }
            Ok(None)
        };
        tokio::time::timeout(PATIENCE, frame)
            .await
            .context("no frame in time")?
    }

    /// The next frame, which must be there.
    ///
    /// # Errors
    ///
    /// As [`Self::next`], and when the stream has ended.
    pub async fn frame(&mut self) -> Result<Value> {
        let Some(frame) = self.next().await? else {
            bail!("the stream has ended");
        };
        Ok(frame)
    }
}
