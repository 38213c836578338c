use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::sync::Cache;
use reqwest::{Client, ClientBuilder, Request, Response, Url, Version};

use super::builder::ClientSetupError;
use super::causes::causes;
use super::new_connection::{NoteConnections, noting};

/// How many servers are remembered that speak HTTP/2.
const MOST_SHARING: u64 = 10_000;
/// And of those, how many have a client of their own because a shared connection hung.
const MOST_REPLACED: u64 = 256;
/// Time after which a server that was not called is forgotten.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// What a request may do that met the end of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// It is sent again, once and on a new connection, if its own had been there before and was closed without the head
    /// of an answer: most likely the server had closed it, as idle, when the request came. For requests of which a second
    /// copy does no harm. HTTP/1 only.
    OnceOnNewConnection,
    /// It is sent again only if nothing of it was.
    IfUnsent,
}

/// Sends requests, on kept connections where there are some.
pub struct HttpClient {
    kept: Client,
    /// Keeps connections for a moment.
    briefly: Client,
    /// Keeps no connection.
    fresh: Client,
    builder: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    /// The servers that have answered in HTTP/2, where many requests share a connection.
    sharing: Cache<Server, ()>,
    /// Clients of their own, for servers that let a request on a shared connection wait for too long: what comes next does
    /// not go on it.
    replaced: Cache<Server, Arc<Client>>,
    replacing: Mutex<()>,
}

/// For requests that nothing repeats: the servers that close idle connections soonest do so after two seconds, and a request that
/// meets the closing has an unknown end.
const BRIEFLY: Duration = Duration::from_secs(1);

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Server(String);

impl Server {
    fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }
}

impl HttpClient {
    /// Several clients may be built of `builder`: all alike.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn new(builder: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Result<Self, ClientSetupError> {
        Ok(Self {
            kept: builder().connector_layer(NoteConnections).build()?,
            briefly: builder().pool_idle_timeout(BRIEFLY).connector_layer(NoteConnections).build()?,
            fresh: builder().pool_max_idle_per_host(0).build()?,
            builder: Box::new(builder),
            sharing: Cache::builder().max_capacity(MOST_SHARING).time_to_idle(REMEMBERED).build(),
            replaced: Cache::builder().max_capacity(MOST_REPLACED).time_to_idle(REMEMBERED).build(),
            replacing: Mutex::default(),
        })
    }

    /// For making requests, which [`send`](Self::send) sends.
    pub fn requests(&self) -> &Client {
        &self.kept
    }

    /// # Errors
    /// When there is no answer within `timeout`, from now to the last byte of it.
    pub async fn send(
        &self,
        mut request: Request,
        timeout: Duration,
        repeats: Repeats,
    ) -> Result<Response, reqwest::Error> {
        let began = Instant::now();
        let server = Server::of(request.url());
        *request.timeout_mut() = Some(timeout);
        let copy = (repeats == Repeats::OnceOnNewConnection).then(|| request.try_clone()).flatten();
        let own = self.replaced.get(&server);
        let pooled = if repeats == Repeats::IfUnsent { &self.briefly } else { &self.kept };
        let client = own.as_deref().unwrap_or(pooled);
        let (answer, is_on_new_connection) = noting(client.execute(request)).await;
        match (answer, copy) {
            (Ok(response), _) => {
                // Asked for by `get`, which counts as a call.
                if response.version() == Version::HTTP_2 && self.sharing.get(&server).is_none() {
                    self.sharing.insert(server, ());
                }
                Ok(response)
            }
            (Err(error), Some(mut copy)) if !is_on_new_connection && was_closed(&error) => {
                *copy.timeout_mut() = Some(timeout.saturating_sub(began.elapsed()));
                match self.fresh.execute(copy).await {
                    // The first copy may have been read, which an error about connecting would deny.
                    Err(again) if again.is_connect() => Err(error),
                    answer => answer,
                }
            }
            (Err(error), _) => {
                if error.is_timeout() && !error.is_connect() && self.sharing.get(&server).is_some() {
                    self.replace(server, own.as_ref());
                }
                Err(error)
            }
        }
    }

    /// Replaces the client that a request waited on in vain, once for all requests that did.
    fn replace(&self, server: Server, used: Option<&Arc<Client>>) {
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.replaced.get(&server).as_ref().map(Arc::as_ptr) != used.map(Arc::as_ptr) {
            return;
        }
        match (self.builder)().connector_layer(NoteConnections).build() {
            Ok(client) => self.replaced.insert(server, Arc::new(client)),
            Err(error) => tracing::warn!(%error, "a connection that hangs cannot be replaced"),
        }
    }
}

/// Whether the connection was at its end before there was an answer.
fn was_closed(error: &reqwest::Error) -> bool {
    if error.is_timeout() || error.is_connect() {
        return false;
    }
    let is_closed = |error: &io::Error| {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    };
    causes(error).any(|cause| {
        cause.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_incomplete_message() || error.is_closed())
            || cause.downcast_ref::<io::Error>().is_some_and(is_closed)
    })
}
