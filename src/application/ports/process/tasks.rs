use futures::future::BoxFuture;

/// Runs work beside the caller's. A task that panics ends alone.
pub trait Tasks: Send + Sync {
    fn spawn(&self, task: BoxFuture<'static, ()>);
}
