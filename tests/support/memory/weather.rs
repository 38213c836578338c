use async_trait::async_trait;
use correio::application::ports::RepositoryError;

/// What a statement meets on its way to the database and back.
///
/// `operation` is the member of `Adapters` that was called and its method, e.g. `messages.claim`; it is the `writer` of a
/// `Change` too. An implementation may wait, for ever too, or answer with an error.
#[async_trait]
pub trait Weather: Send + Sync {
    /// Nothing was done yet, and after an error nothing will be.
    async fn before(&self, operation: &'static str) -> Result<(), RepositoryError>;

    /// It was done, also if the caller is told an error.
    async fn after(&self, operation: &'static str) -> Result<(), RepositoryError>;
}

/// Everything arrives at once.
pub struct Calm;

#[async_trait]
impl Weather for Calm {
    async fn before(&self, _operation: &'static str) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn after(&self, _operation: &'static str) -> Result<(), RepositoryError> {
        Ok(())
    }
}
