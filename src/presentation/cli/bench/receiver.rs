//! Where the server delivers the run's webhooks: it answers at once, and notes what came when.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::message::Marker;
use super::tally::Arrivals;

/// A receiver that listens, and serves once the run begins.
pub struct Receiver {
    listener: TcpListener,
    arrivals: Arc<Mutex<Arrivals>>,
}

impl Receiver {
    /// Port 0 picks a free one.
    ///
    /// # Errors
    /// A sentence, when it cannot listen there.
    pub async fn bind(host: IpAddr, port: u16) -> Result<Self, String> {
        let listener = TcpListener::bind((host, port)).await;
        let listener =
            listener.map_err(|error| format!("the receiver cannot listen on {host}, port {port}: {error}"))?;
        Ok(Self { listener, arrivals: Arc::new(Mutex::new(Arrivals::new()?)) })
    }

    /// Its address, for a server that can reach it.
    ///
    /// # Errors
    /// When the system does not say where it listens.
    pub fn url(&self) -> Result<String, String> {
        let address = self.listener.local_addr().map_err(|error| format!("the receiver has no address: {error}"))?;
        Ok(format!("http://{address}/bench"))
    }

    /// Serves as long as the process runs. Times count from `began`.
    pub fn serve(self, marker: Marker, began: Instant) -> Arc<Mutex<Arrivals>> {
        let noted = self.arrivals.clone();
        let desk = Arc::new(Desk { marker, began, arrivals: self.arrivals });
        let listener = self.listener;
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let _slower_without_it = stream.set_nodelay(true);
                        let desk = desk.clone();
                        let service = service_fn(move |request| take(desk.clone(), request));
                        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                    }
                    // Such as too many open files: others may be closed by then.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                }
            }
        });
        noted
    }
}

struct Desk {
    marker: Marker,
    began: Instant,
    arrivals: Arc<Mutex<Arrivals>>,
}

async fn take(desk: Arc<Desk>, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = match request.into_body().collect().await {
        Ok(body) => desk.note(&body.to_bytes()),
        Err(_) => StatusCode::BAD_REQUEST,
    };
    Ok(response)
}

impl Desk {
    fn note(&self, body: &[u8]) -> StatusCode {
        let now = self.began.elapsed();
        let Some((sequence, start)) = self.marker.find(body) else { return StatusCode::NOT_FOUND };
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.arrive(sequence, std::time::Duration::from_micros(start), now);
        StatusCode::NO_CONTENT
    }
}
