use async_trait::async_trait;
use futures::future::BoxFuture;

/// Runs work concurrently with the caller's. A task that panics ends alone.
#[async_trait]
pub trait Tasks: Send + Sync {
    /// Runs work that a stopping process waits for.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Runs the service of this name; its owner waits for its end.
    fn spawn_service(&self, name: &'static str, service: BoxFuture<'static, ()>);

    /// Number of tasks that have not ended; services do not count.
    fn under_way(&self) -> usize;

    /// Resolves when no task is under way.
    async fn finished(&self);
}
