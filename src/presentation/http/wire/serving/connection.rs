//! One connection, from request to request.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::activity::Activity;
use super::limits::Limits;
use super::observed::{Observed, ObservedBody};
use super::unread_body::lend;
use crate::presentation::http::wire::serving::client::Peer;

/// While more than one in so many of the connections that there may be are open, one that is at rest keeps no buffers. With
/// fewer, the next request is sooner begun with those that are there.
const SHARE_WITH_BUFFERS: usize = 20;

/// As many as an answer may have that this process reads. The library's default of 100 is less than browsers and proxies send.
const MOST_HEADERS: usize = 1_000;

pub struct Connection {
    pub app: Router,
    pub limits: Limits,
    /// Those that may still be opened.
    pub places: Arc<Semaphore>,
    pub stop: CancellationToken,
    pub peer: Option<Peer>,
}

impl Connection {
    /// Answers requests until the client goes, or is silent for too long, or `stop`; then what was begun is answered.
    pub async fn serve(self, stream: TcpStream) {
        let activity = Activity::begin(self.limits);
        let mut stream = Observed::new(stream, activity.clone());
        while self.has_begun(&stream, &activity).await {
            match self.answer(stream, &activity).await {
                Some(at_rest) => stream = at_rest,
                None => return,
            }
        }
    }

    /// Waits for the next request, with nothing but the socket.
    async fn has_begun(&self, stream: &Observed, activity: &Activity) -> bool {
        loop {
            tokio::select! {
                // What came before a stop is answered.
                biased;
                readable = stream.readable() => return readable.is_ok(),
                () = sleep_until(activity.next_look()) => {}
                () = self.stop.cancelled() => return self.is_about_to_begin(stream, activity).await,
            }
            if activity.is_overdue(Instant::now()) {
                return false;
            }
        }
    }

    /// A client that has just connected has a request, which may be on its way when the server stops. One that had its
    /// answers knows that a connection at rest may close.
    async fn is_about_to_begin(&self, stream: &Observed, activity: &Activity) -> bool {
        let Some(latest) = activity.first_head_expected_until() else { return false };
        matches!(timeout_at(latest, stream.readable()).await, Ok(Ok(())))
    }

    /// Gives the stream back when it is at rest.
    async fn answer(&self, stream: Observed, activity: &Activity) -> Option<Observed> {
        let (app, requests, peer) = (TowerToHyperService::new(self.app.clone()), activity.clone(), self.peer);
        let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
            peer.map(|peer| request.extensions_mut().insert(peer));
            let (request, unread) = lend(request);
            let (answering, answer) = (requests.answering(), app.call(request));
            async move {
                let mut response = answer.await?;
                unread.drop_before(&mut response).await;
                Ok::<_, Infallible>(response.map(|body| ObservedBody::new(body, answering)))
            }
        });
        // Its own timer does not tell a slow head from a connection that waits for its next request.
        let mut is_stopping = self.stop.is_cancelled();
        let mut connection = http1::Builder::new()
            .keep_alive(!is_stopping)
            .header_read_timeout(None)
            .half_close(true)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), answer);
        loop {
            let moves = poll_fn(|context| match Pin::new(&mut connection).poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if activity.is_at_rest() && self.are_many() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            });
            tokio::select! {
                // What has come is read before a stop, as hyper closes a connection of which it has read nothing; and what a client
                // takes at the last moment counts.
                biased;
                ended = moves => match ended {
                    Some(ended) => {
                        if let Err(error) = ended {
                            debug!(%error, "a connection ended");
                        }
                        return None;
                    }
                    None => break,
                },
                () = sleep_until(activity.next_look()) => {
                    if activity.is_overdue(Instant::now()) {
                        return None;
                    }
                }
                () = self.stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    Pin::new(&mut connection).graceful_shutdown();
                }
            }
        }
        let Parts { io, read_buf, .. } = connection.into_parts();
        let mut stream = io.into_inner();
        if !read_buf.is_empty() {
            activity.received();
            stream.put_back(read_buf);
        }
        Some(stream)
    }

    fn are_many(&self) -> bool {
        let open = self.limits.connections.saturating_sub(self.places.available_permits());
        open > self.limits.connections / SHARE_WITH_BUFFERS
    }
}
