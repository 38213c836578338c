use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use reqwest::{Client, ClientBuilder, Request, Response, Url, Version};

use super::builder::ClientSetupError;
use super::new_connection::{NoteConnections, noting};

/// How many servers are remembered that speak HTTP/2, or stopped answering in it.
const MOST_SERVERS: u64 = 10_000;
/// How long one is without being called.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// What a request may do that met the end of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// It is sent again, once and on a new connection, if its own had been used before and closed without a byte of an
    /// answer: most likely the server had closed it, as idle, when the request came. For those of which a second copy does
    /// no harm.
    OnceOnNewConnection,
    /// It is sent again only if nothing of it was.
    IfUnsent,
}

/// Sends requests, on kept connections where there are some.
pub struct HttpClient {
    kept: Client,
    /// Keeps no connection.
    fresh: Client,
    builder: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    /// The servers that have answered in HTTP/2, where many requests share a connection.
    sharing: Cache<Server, ()>,
    /// Clients of their own, for servers that let a request on a shared connection wait for too long: what comes next does
    /// not go on it. Replaced each time.
    replaced: Cache<Server, Client>,
}

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
    /// When none can be built.
    pub fn new(builder: impl Fn() -> ClientBuilder + Send + Sync + 'static) -> Result<Self, ClientSetupError> {
        Ok(Self {
            kept: builder().connector_layer(NoteConnections).build()?,
            fresh: builder().pool_max_idle_per_host(0).build()?,
            builder: Box::new(builder),
            sharing: remembering(),
            replaced: remembering(),
        })
    }

    /// To make requests of, which [`send`](Self::send) sends.
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
        let copy = request.try_clone().filter(|_| repeats == Repeats::OnceOnNewConnection);
        let own = self.replaced.get(&server);
        let (answer, is_on_new_connection) = noting(own.as_ref().unwrap_or(&self.kept).execute(request)).await;
        match (answer, copy) {
            (Ok(response), _) => {
                if response.version() == Version::HTTP_2 && !self.sharing.contains_key(&server) {
                    self.sharing.insert(server, ());
                }
                Ok(response)
            }
            (Err(error), Some(mut copy)) if !is_on_new_connection && was_closed(&error) => {
                *copy.timeout_mut() = Some(timeout.saturating_sub(began.elapsed()));
                self.fresh.execute(copy).await
            }
            (Err(error), _) => {
                if error.is_timeout() && !error.is_connect() && self.sharing.contains_key(&server) {
                    self.replace(server);
                }
                Err(error)
            }
        }
    }

    fn replace(&self, server: Server) {
        match (self.builder)().connector_layer(NoteConnections).build() {
            Ok(client) => self.replaced.insert(server, client),
            Err(error) => tracing::warn!(%error, "a connection that hangs cannot be replaced"),
        }
    }
}

fn remembering<T: Clone + Send + Sync + 'static>() -> Cache<Server, T> {
    Cache::builder().max_capacity(MOST_SERVERS).time_to_idle(REMEMBERED).build()
}

/// Whether the connection was at its end before there was an answer.
fn was_closed(error: &reqwest::Error) -> bool {
    if error.is_timeout() || error.is_connect() {
        return false;
    }
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.any(|cause| {
        let is_closed = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
            )
        };
        cause.downcast_ref::<hyper::Error>().is_some_and(|error| error.is_incomplete_message() || error.is_closed())
            || cause.downcast_ref::<io::Error>().is_some_and(is_closed)
    })
}
