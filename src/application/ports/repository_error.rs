/// What can go wrong with a repository, whatever it is made of. An adapter translates its driver's errors into these.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The database did not answer, or not in time. Whether a write took effect is unknown.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Another transaction holds what it needs, or too many requests are ahead of it, for longer than it can wait; nothing
    /// was changed, and it may pass.
    #[error("the rows are busy: {0}")]
    Contested(String),
    /// Something of that name exists already.
    #[error("a row of that name exists")]
    Conflict,
    /// The database answered that it will not store this; nothing was changed.
    #[error("the database refused the statement: {0}")]
    Refused(String),
    /// A row holds something that we never write, or what is there is not our database: other tables, other migrations, a
    /// file of another kind.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

impl RepositoryError {
    /// Whether the same may succeed later.
    pub fn may_pass(&self) -> bool {
        matches!(self, RepositoryError::Unavailable(_) | RepositoryError::Contested(_))
    }
}
