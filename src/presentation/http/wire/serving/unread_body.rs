//! What a client still sends of a body that nobody reads, because its head was enough for a refusal. A connection that is closed
//! over it is reset, and takes the answer with it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use futures::channel::oneshot;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::{Request, Response};
use tokio::time::timeout;

/// Bytes that are read and dropped; a client that has more to send is refused before it has.
const MOST_DROPPED: u64 = 1024 * 1024;

/// How long an answer waits for them.
const PATIENCE: Duration = Duration::from_secs(2);

/// The body of a request, which comes back if it is dropped before its end.
pub struct LentBody {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

/// Where it comes back.
pub struct UnreadBody {
    back: oneshot::Receiver<Incoming>,
    /// The client sends nothing before it is asked to.
    is_held_back: bool,
}

/// The request, with a body that comes back.
pub fn lend(request: Request<Incoming>) -> (Request<LentBody>, UnreadBody) {
    let (give, back) = oneshot::channel();
    let is_held_back = request.headers().contains_key(EXPECT);
    let request = request.map(|body| LentBody { body: Some(body), back: Some(give) });
    (request, UnreadBody { back, is_held_back })
}

impl UnreadBody {
    /// Reads what the answer has left, as far as that is bounded; otherwise the answer says that the connection ends with it.
    pub async fn drop_before<B>(mut self, answer: &mut Response<B>) {
        // Whoever still has it goes on reading.
        let Ok(Some(body)) = self.back.try_recv() else { return };
        let is_dropped = !self.is_held_back && timeout(PATIENCE, read_to_its_end(body)).await.unwrap_or(false);
        if !is_dropped {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

async fn read_to_its_end(mut body: Incoming) -> bool {
    let mut left = MOST_DROPPED;
    while body.size_hint().lower() <= left {
        match std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            None => return true,
            Some(Err(_)) => return false,
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                let Some(rest) = left.checked_sub(length) else { return false };
                left = rest;
            }
        }
    }
    false
}

impl Body for LentBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for LentBody {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits for it once the answer is there.
            let _ = back.send(body);
        }
    }
}
