//! Whether a request was the first on its connection.

use std::cell::Cell;
use std::future::Future;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Whether the request that is under way in this task has begun to connect.
    static CONNECTS: Cell<bool>;
}

/// Carries out a request, and returns whether it began a connection. One that did may have gone on an older connection all
/// the same, which came free meanwhile; one that did not went on a connection that was there before.
pub async fn noting<T>(request: impl Future<Output = T>) -> (T, bool) {
    CONNECTS.scope(Cell::new(false), async { (request.await, CONNECTS.with(Cell::get)) }).await
}

/// Notes every connection that is begun, for [`noting`].
#[derive(Clone, Copy)]
pub struct NoteConnections;

#[derive(Clone)]
pub struct Noting<S>(S);

impl<S> Layer<S> for NoteConnections {
    type Service = Noting<S>;

    fn layer(&self, connector: S) -> Noting<S> {
        Noting(connector)
    }
}

impl<S: Service<R>, R> Service<R> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, destination: R) -> S::Future {
        // A connection that is made in the background, for a later request, has no request here.
        let _ = CONNECTS.try_with(|connects| connects.set(true));
        self.0.call(destination)
    }
}
