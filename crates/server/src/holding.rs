//! Bodies that hold something until they are done.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use drover_auth::web::{self, Body, BoxError};
use http_body::{Frame, SizeHint};

/// The same body; `held` is dropped with it: when it was read, or nobody reads it any more.
pub(crate) fn holding<H: Unpin + Send + 'static>(body: Body, held: H) -> Body {
    web::boxed(Holding { body, _held: held })
}

struct Holding<H> {
    body: Body,
    _held: H,
}

impl<H: Unpin> http_body::Body for Holding<H> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
