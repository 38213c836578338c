use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::receipt::{ChannelMessage, Receipt};

/// What channels say of messages later, and which message each name at a channel stands for. No receipt is lost, whichever
/// comes first, the receipt or the outcome that gives its message the name, and wherever either is written:
///
/// 1. Whoever has a receipt [stores](Self::store) it, and then [applies](Self::apply) it.
/// 2. Whoever records an outcome with a name ([`MessageRepository::record`](crate::application::ports::MessageRepository::record) notes which
///    message it stands for, in the same transaction) applies what came for that name before.
/// 3. Each of them begins to apply after its own write was answered: the later of the two finds both.
///
/// `tests/contracts/receipts/` proves what is promised here.
#[async_trait]
pub trait ReceiptInbox: Send + Sync {
    /// Keeps a receipt until it is applied. On disk once it is answered. One that is there already changes nothing.
    async fn store(&self, receipt: &Receipt, now: Timestamp) -> Result<(), RepositoryError>;

    /// Moves the message of this name as its receipts say, in the order of
    /// [`ReceiptStatus`](crate::domain::receipt::ReceiptStatus), and deletes them, also those that moved nothing. Without a
    /// message of this name nothing happens. A message that fails thereby gets this `dead_lettered_at`.
    async fn apply(
        &self,
        of: &ChannelMessage,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError>;

    /// Looks at a portion of what is kept, the oldest first, from `after` on; applies what has a message, and deletes what
    /// came before `before` and has none.
    async fn sweep(
        &self,
        after: Option<&Swept>,
        before: Timestamp,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Swept>, RepositoryError>;
}

/// How far a sweep has come. None: it is at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    pub received_at: Timestamp,
    pub of: ChannelMessage,
}
