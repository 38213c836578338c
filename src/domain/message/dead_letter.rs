use crate::domain::Timestamp;

/// Where a message that has failed is kept for people to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterPolicy {
    /// The row is the dead letter, from the start.
    Row,
    /// It also owes a record on the dead-letter topic.
    Topic,
}

impl DeadLetterPolicy {
    /// What is written as `dead_lettered_at` together with a failure; none: its record is owed.
    pub fn dead_lettered_at(self, failed_at: Timestamp) -> Option<Timestamp> {
        match self {
            DeadLetterPolicy::Row => Some(failed_at),
            DeadLetterPolicy::Topic => None,
        }
    }
}
