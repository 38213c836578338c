/// Why a broker did not do what it was asked to, with its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdministrationError {
    /// There is no such topic or partition.
    #[error("{0}")]
    Unknown(String),
    /// There is such a topic.
    #[error("{0}")]
    Exists(String),
    /// It would refuse this whenever it is asked.
    #[error("{0}")]
    Invalid(String),
    /// Its ACLs deny it to us.
    #[error("{0}")]
    Forbidden(String),
    /// The group has members.
    #[error("{0}")]
    Active(String),
    /// No broker answered, or none that could do it now.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Failed(String),
}
