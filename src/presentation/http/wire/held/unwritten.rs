use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};

/// An answer's body that holds something until the last of it is written, or its connection ends: also while it lies in the
/// connection's buffer, where hyper puts all of it as soon as it is there.
pub struct Unwritten<H> {
    body: Body,
    holds: H,
}

/// Bytes that hold something, too.
pub struct Holding<B, H> {
    pub bytes: B,
    pub _holds: H,
}

impl<H> Unwritten<H> {
    pub fn new(body: Body, holds: H) -> Self {
        Self { body, holds }
    }
}

impl<B: AsRef<[u8]>, H> AsRef<[u8]> for Holding<B, H> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl<H: Clone + Send + Unpin + 'static> hyper::body::Body for Unwritten<H> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        let holding = |bytes| Bytes::from_owner(Holding { bytes, _holds: self.holds.clone() });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(holding))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
