//! The HTTP server: how many connections and requests it bears, and how long a connection may be silent.

mod activity;
mod in_flight;
mod limits;
mod observed;
#[cfg(test)]
mod serving_tests;
mod to_its_end;

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error};

use crate::application::Stop;
use activity::Activity;
use observed::{Observed, ObservedBody};

pub use in_flight::InFlight;
pub use limits::Limits;
pub use to_its_end::to_its_end;

/// Serves until `stop` has resolved and every request that was begun is answered.
pub async fn serve(listener: TcpListener, app: Router, limits: Limits, mut stop: Stop) {
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(limits.connections)));
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
        let (app, watcher) = (app.clone(), graceful.watcher());
        tokio::spawn(async move {
            serve_connection(stream, app, limits, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
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

async fn serve_connection(stream: TcpStream, app: Router, limits: Limits, watcher: Watcher) {
    let activity = Activity::begin(limits);
    let (app, requests) = (TowerToHyperService::new(app), activity.clone());
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let (answering, answer) = (requests.answering(), app.call(request));
        async move { answer.await.map(|response| response.map(|body| ObservedBody::new(body, answering))) }
    });
    let stream = TokioIo::new(Observed::new(stream, activity.clone()));
    // hyper's own timer does not distinguish a slow head from a connection that waits for its next request.
    let connection = http1::Builder::new().header_read_timeout(None).serve_connection(stream, answer);
    let mut connection = pin!(watcher.watch(connection));
    loop {
        let look = activity.next_look();
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    debug!(%error, "a connection ended");
                }
                return;
            }
            () = sleep_until(look) => {}
        }
        if activity.is_overdue(Instant::now()) {
            return;
        }
    }
}
