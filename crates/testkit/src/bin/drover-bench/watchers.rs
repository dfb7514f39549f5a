//! Many watches of one client, which leaves the cores to the server while events come.

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::client::Peer;
use super::inbox::{Connection, Inbox};

/// Room for the event of a small object.
const ENOUGH: usize = 4 << 10;
const GONE: &str = "the thread of the watches ended";

/// Reads after the given time, and tells when the last event had come.
struct Order {
    after: Instant,
    answer: oneshot::Sender<Result<Instant>>,
}

/// Watches of one client in a thread of its own, which does little while events come.
pub(crate) struct Watchers {
    orders: mpsc::Sender<Order>,
}

impl Watchers {
    /// Starts `n` watches of `path` on so many connections.
    pub(crate) async fn start(
        peer: &Peer,
        path: &'static str,
        n: usize,
        connections: usize,
    ) -> Result<Self> {
        let (started, start) = oneshot::channel();
        let (sender, orders) = mpsc::channel();
        let peer = peer.clone();
        std::thread::spawn(move || serve(&peer, path, (n, connections), started, &orders));
        start.await.context(GONE)??;
        Ok(Self { orders: sender })
    }

    /// Orders the reading of the next event of each watch, but not before `after`. The future tells when the last of them had come.
    pub(crate) fn read(&self, after: Instant) -> impl Future<Output = Result<Instant>> + use<> {
        let (sender, answer) = oneshot::channel();
        let ordered = self.orders.send(Order {
            after,
            answer: sender,
        });
        async move {
            ordered.ok().context(GONE)?;
            answer.await.context(GONE)?
        }
    }
}

fn serve(
    peer: &Peer,
    path: &str,
    (n, connections): (usize, usize),
    started: oneshot::Sender<Result<()>>,
    orders: &mpsc::Receiver<Order>,
) {
    let opened = (|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = runtime.block_on(Client::open(peer, path, n, connections))?;
        anyhow::Ok((runtime, client))
    })();
    let (runtime, mut client) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            // Nobody waits for the answer only if the benchmark is ending; here and below.
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(()));
    for Order { after, answer } in orders {
        let _ = answer.send(runtime.block_on(client.read(after)));
    }
}

struct Client {
    watches: Vec<Watch>,
    inboxes: Vec<Inbox>,
}

impl Client {
    async fn open(peer: &Peer, path: &str, n: usize, connections: usize) -> Result<Self> {
        let (mut watches, mut inboxes) = (Vec::with_capacity(n), Vec::new());
        for _ in 0..connections {
            if n == connections {
                let (watch, inbox) = Watch::own(peer, path).await?;
                watches.push(watch);
                inboxes.push(inbox);
                continue;
            }
            let (mut sender, inbox) = share(peer).await?;
            for _ in 0..n / connections {
                watches.push(Watch::shared(peer, path, &mut sender).await?);
            }
            inboxes.push(inbox);
        }
        Ok(Self { watches, inboxes })
    }

    async fn read(&mut self, after: Instant) -> Result<Instant> {
        let holding = self.inboxes.iter().map(|inbox| inbox.hold(after));
        futures::future::try_join_all(holding).await?;
        for watch in &mut self.watches {
            watch.event().await?;
        }
        let last = self.inboxes.iter().filter_map(Inbox::newest).max();
        last.context("nothing came")
    }
}

async fn connect(peer: &Peer) -> Result<Connection> {
    let stream = TcpStream::connect(peer.address).await?;
    stream.set_nodelay(true)?;
    Ok(Connection::new(stream))
}

/// One connection for many requests at once (HTTP/2), as client-go shares one among its watches.
async fn share(peer: &Peer) -> Result<(http2::SendRequest<Full<Bytes>>, Inbox)> {
    let mut tls = (*peer.tls).clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = connect(peer).await?;
    let inbox = stream.inbox();
    let stream = peer.secure(&Arc::new(tls), stream).await?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a shared connection of the benchmark ended with an error");
        }
    });
    Ok((sender, inbox))
}

enum Watch {
    /// On a connection of its own.
    Own {
        stream: Box<TlsStream<Connection>>,
        buffer: Vec<u8>,
    },
    /// Beside others of one connection.
    Shared(Incoming),
}

impl Watch {
    async fn own(peer: &Peer, path: &str) -> Result<(Self, Inbox)> {
        let (host, port) = peer.address;
        let stream = connect(peer).await?;
        let inbox = stream.inbox();
        let mut stream = Box::new(peer.secure(&peer.tls, stream).await?);
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Bearer {}\r\naccept: application/json\r\n\r\n",
            peer.token
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut buffer = Vec::with_capacity(ENOUGH);
        while !buffer.windows(4).any(|four| four == b"\r\n\r\n") {
            ensure!(stream.read_buf(&mut buffer).await? > 0, "{path}: no answer");
        }
        ensure!(
            buffer.starts_with(b"HTTP/1.1 200 "),
            "{path}: {}",
            String::from_utf8_lossy(&buffer)
        );
        Ok((Self::Own { stream, buffer }, inbox))
    }

    async fn shared(
        peer: &Peer,
        path: &str,
        sender: &mut http2::SendRequest<Full<Bytes>>,
    ) -> Result<Self> {
        let (host, port) = peer.address;
        let request = http::Request::get(format!("https://{host}:{port}{path}"))
            .header("authorization", format!("Bearer {}", peer.token))
            .header("accept", "application/json")
            .body(Full::new(Bytes::new()))?;
        let response = sender.send_request(request).await?;
        ensure!(
            response.status().is_success(),
            "{path}: {}",
            response.status()
        );
        Ok(Self::Shared(response.into_body()))
    }

    /// Reads one whole event.
    async fn event(&mut self) -> Result<()> {
        match self {
            Self::Own { stream, buffer } => {
                // An event ends its line and its chunk.
                while !buffer.ends_with(b"}\n\r\n") {
                    ensure!(stream.read_buf(buffer).await? > 0, "the watch ended");
                }
                buffer.clear();
            }
            Self::Shared(body) => loop {
                let frame = body.frame().await.context("the watch ended")??;
                if frame
                    .data_ref()
                    .is_some_and(|data| data.last() == Some(&b'\n'))
                {
                    break;
                }
            },
        }
        Ok(())
    }
}
