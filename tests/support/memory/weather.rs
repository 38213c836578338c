use async_trait::async_trait;
use correio::application::ports::RepositoryError;
use correio::domain::Timestamp;

/// What is to be done to the tables, all at once. Dropped, it is never done.
pub type Statement = Box<dyn FnOnce() + Send>;

/// What a statement meets on its way to the database and back.
#[async_trait]
pub trait Weather: Send + Sync {
    /// Carries it out: at once, later, also after whoever asked has been told an error or has died, or never. `Ok` only
    /// after it was done.
    ///
    /// `operation` is the member of `Adapters` that was called and its method, e.g. `messages.claim`; it is the `writer` of
    /// a `Change` too.
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError>;

    /// The clock of the database; none: that of whoever asks.
    fn now(&self) -> Option<Timestamp> {
        None
    }
}

/// Everything arrives at once.
pub struct Calm;

#[async_trait]
impl Weather for Calm {
    async fn carry(&self, _operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        statement();
        Ok(())
    }
}
