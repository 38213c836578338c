use super::pacing::Slot;

/// Is notified of how far a delivery has come.
pub trait Progress: Send + Sync {
    /// The claim is answered: the row says which node delivers it.
    fn claimed(&self) {}

    /// The call of the channel is over, and only the database is still to be waited for.
    fn called(&self) {}

    /// What was reserved for the call, of an instance that has a pace.
    fn slot(&self) -> Option<Slot> {
        None
    }
}

/// For deliveries whose progress is not watched.
impl Progress for () {}
