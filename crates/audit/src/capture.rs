//! A copy of a body as it passes, without holding it back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Largest body that is kept; larger ones are only counted.
const LIMIT: usize = 256 << 10;

/// What passed through a [`Tee`]; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Captured(Arc<Mutex<Copied>>);

#[derive(Debug, Default)]
struct Copied {
    bytes: Vec<u8>,
    length: u64,
}

impl Captured {
    fn add(&self, data: &[u8]) {
        let mut copied = self.0.lock();
        copied.length += data.len() as u64;
        if copied.length > LIMIT as u64 {
            copied.bytes = Vec::new();
        } else {
            copied.bytes.extend_from_slice(data);
        }
    }

    /// The body, passed through `redact`; what is no JSON or too large is only measured. None if there was no body.
    #[must_use]
    pub fn take(&self, redact: impl FnOnce(&Value) -> Value) -> Option<Value> {
        let (bytes, length) = {
            let mut copied = self.0.lock();
            (std::mem::take(&mut copied.bytes), copied.length)
        };
        if length == 0 {
            return None;
        }
        let omitted = |reason: &str| json!({"omitted": reason, "bytes": length});
        if bytes.is_empty() {
            return Some(omitted("too large"));
        }
        Some(match serde_json::from_slice(&bytes) {
            Ok(value) => redact(&value),
            Err(_) => omitted("not JSON"),
        })
    }
}

/// A body that is copied as it passes.
#[derive(Debug)]
pub struct Tee<B> {
    inner: B,
    copy: Captured,
}

impl<B> Tee<B> {
    /// Copies `inner` into the second value.
    pub fn new(inner: B) -> (Self, Captured) {
        let copy = Captured::default();
        let tee = Self {
            inner,
            copy: copy.clone(),
        };
        (tee, copy)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Tee<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.copy.add(data);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    async fn passed(bytes: Vec<u8>) -> Option<Value> {
        let (tee, copy) = Tee::new(Full::new(Bytes::from(bytes.clone())));
        assert_eq!(tee.collect().await.unwrap().to_bytes(), bytes);
        copy.take(|value| json!({"seen": value}))
    }

    #[tokio::test]
    async fn bodies_pass_unchanged_and_are_read_if_they_are_json_of_a_sane_size() {
        assert_eq!(passed(Vec::new()).await, None);
        assert_eq!(passed(b"[1]".to_vec()).await, Some(json!({"seen": [1]})));
        assert_eq!(
            passed(b"a: 1".to_vec()).await,
            Some(json!({"omitted": "not JSON", "bytes": 4}))
        );
        assert_eq!(
            passed(vec![b' '; LIMIT + 1]).await,
            Some(json!({"omitted": "too large", "bytes": LIMIT + 1}))
        );
    }
}
