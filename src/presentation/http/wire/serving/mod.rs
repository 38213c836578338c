//! The HTTP server: how many connections and requests it bears, and how long a connection may be silent.

mod activity;
pub mod client;
mod connection;
mod in_flight;
mod limits;
mod observed;
#[cfg(test)]
mod serving_tests;
#[cfg(test)]
mod slow_clients_tests;
mod to_its_end;
mod unread_body;
#[cfg(test)]
mod unread_body_tests;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::application::Stop;
use crate::presentation::http::wire::serving::client::Peer;
use connection::Connection;

pub use in_flight::{InFlight, hold_body, is_of, leave_place, wait_for_client};
pub use limits::Limits;
pub use to_its_end::to_its_end;

/// More than the system keeps waiting. Clients that go on connecting do not keep a server from its end.
const MOST_WAITING: usize = 1024;

/// Serves until `stop` has resolved and every request that was begun is answered.
pub async fn serve(listener: TcpListener, app: Router, limits: Limits, mut stop: Stop) {
    let (places, stopping) = (Arc::new(Semaphore::new(limits.connections)), CancellationToken::new());
    let connections = TaskTracker::new();
    let begin = |stream: TcpStream| {
        let Ok(place) = places.clone().try_acquire_owned() else { return };
        let peer = stream.peer_addr().ok().map(|address| Peer(address.ip()));
        let connection = Connection { app: app.clone(), limits, places: places.clone(), stop: stopping.clone(), peer };
        connections.spawn(async move {
            connection.serve(stream).await;
            drop(place);
        });
    };
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, _)) => begin(stream),
            Err(error) => refused_by_the_system(&error).await,
        }
    }
    stopping.cancel();
    waiting(listener).into_iter().for_each(begin);
    connections.close();
    connections.wait().await;
}

/// The connections that the system has taken on for a listener, which ends. It would reset them: their clients cannot know
/// that nothing of their requests was read.
fn waiting(listener: TcpListener) -> Vec<TcpStream> {
    // What tokio knows of the listener may be older than what waits.
    let accepted = listener.into_std().map(|listener| {
        let accept = || listener.accept().and_then(|(stream, _)| in_the_runtime(stream));
        let is_one = |accepted: &std::io::Result<_>| {
            accepted.as_ref().err().is_none_or(|error| error.kind() != ErrorKind::WouldBlock)
        };
        std::iter::repeat_with(accept).take(MOST_WAITING).take_while(is_one).flatten().collect()
    });
    accepted.unwrap_or_else(|error| {
        error!(%error, "connections that were not accepted yet are lost");
        Vec::new()
    })
}

fn in_the_runtime(stream: std::net::TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// A client that has gone again is no fault here; without file descriptors, trying again at once would only spin.
async fn refused_by_the_system(error: &std::io::Error) {
    let has_gone = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset]
        .contains(&error.kind());
    if !has_gone {
        error!(%error, "cannot accept a connection; tried again in a second");
        sleep(Duration::from_secs(1)).await;
    }
}
