//! Dials for the other end and passes bytes both ways.

use std::io;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::BoxedIo;
use crate::stream::Stream;

/// Bytes per turn of a copy.
const COPY: usize = 32 << 10;
/// The first read of a copy; most connections never need more.
const COPY_SMALL: usize = 4 << 10;

pub(super) async fn dial_and_forward(
    stream: Stream,
    dial: BoxFuture<'static, io::Result<BoxedIo>>,
    deadline: Duration,
    protocol: String,
    address: String,
) {
    let dialled = match tokio::time::timeout(deadline, dial).await {
        Ok(Ok(target)) => Ok(target),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("i/o timeout".to_owned()),
    };
    match dialled {
        Ok(target) => join(stream, target).await,
        // The form of the peer's dialler (recording `tunnel-frames.txt`).
        Err(error) => stream.refuse(&format!("dial {protocol} {address}: {error}")),
    }
}

/// Passes bytes both ways until either side ends; the protocol has no half-close.
pub(crate) async fn join(stream: Stream, target: BoxedIo) {
    let failure = {
        let (mut from_tunnel, mut to_tunnel) = tokio::io::split(&stream);
        let (mut from_target, mut to_target) = tokio::io::split(target);
        tokio::select! {
            result = copy(&mut from_target, &mut to_tunnel) => match result {
                // What was read is on its way; the end follows it when the stream is dropped.
                Ok(()) => to_tunnel.shutdown().await.err(),
                Err(error) => Some(error),
            },
            result = copy(&mut from_tunnel, &mut to_target) => match result {
                Ok(()) => to_target.shutdown().await.err(),
                Err(error) => Some(error),
            },
        }
    };
    if let Some(error) = failure {
        stream.fail(&error.to_string());
    }
}

async fn copy(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut buffer = vec![0; COPY_SMALL];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let (bytes, _) = buffer.split_at(read);
        to.write_all(bytes).await?;
        to.flush().await?;
        if read == buffer.len() && read < COPY {
            buffer = vec![0; COPY];
        }
    }
}
