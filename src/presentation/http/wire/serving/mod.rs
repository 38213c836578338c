//! The HTTP server: how many connections and requests it bears, and how long a connection may be silent.

mod activity;
mod connection;
mod in_flight;
mod limits;
mod observed;
#[cfg(test)]
mod serving_tests;
#[cfg(test)]
mod slow_clients_tests;
mod to_its_end;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::application::Stop;
use connection::Connection;

pub use in_flight::{InFlight, hold_body, wait_for_client};
pub use limits::Limits;
pub use to_its_end::to_its_end;

/// Serves until `stop` has resolved and every request that was begun is answered.
pub async fn serve(listener: TcpListener, app: Router, limits: Limits, mut stop: Stop) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let (connections, stopping) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                refused_by_the_system(&error).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let connection = Connection { app: app.clone(), limits, places: places.clone(), stop: stopping.clone() };
        connections.spawn(async move {
            connection.serve(stream).await;
            drop(place);
        });
    }
    drop(listener);
    stopping.cancel();
    connections.close();
    connections.wait().await;
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
