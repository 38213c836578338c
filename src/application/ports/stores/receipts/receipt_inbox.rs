use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::message::MessageId;
use crate::domain::receipt::{ChannelMessage, Receipt};

/// What channels say of messages later, and which message each name at a channel stands for. No receipt is lost, whichever
/// comes first, the receipt or the outcome that gives its message the name, and wherever either is written:
///
/// 1. Whoever has a receipt [stores](Self::store) it, and then [applies](Self::apply) it.
/// 2. Whoever records an outcome ([`MessageRepository::record`](crate::application::ports::MessageRepository::record) notes which
///    message its name stands for, in the same transaction) [applies](Self::apply_to) what came for the message before, by whatever
///    name.
/// 3. Each of them begins to apply after its own write was answered: the later of the two finds both.
/// 4. A receipt of an open message waits, as long as it moves nothing: what it says may be all that is known when the message has
///    ended, of whichever try. Only what was applied to a message at its end is deleted.
///
/// `tests/contracts/receipts/` proves what is promised here.
#[async_trait]
pub trait ReceiptInbox: Send + Sync {
    /// Keeps a receipt until it is applied. On disk once it is answered. One that is there already changes nothing. If the
    /// receipt names our own message, and that is one of its instance, it is noted in the same transaction that the receipt's name
    /// stands for it; unless that stands for one already.
    async fn store(&self, receipt: &Receipt, now: Timestamp) -> Result<(), RepositoryError>;

    /// Moves the message of this name as its receipts say, in the order of
    /// [`ReceiptStatus`](crate::domain::receipt::ReceiptStatus), and deletes them, also those that moved nothing; but they stay
    /// while the message is open: none moves what is `pending` or `processing`, and what is `queued` moves only where an earlier
    /// try may have been delivered. Without a message of this name nothing happens. A message that fails thereby gets this
    /// `dead_lettered_at`.
    async fn apply(
        &self,
        of: &ChannelMessage,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError>;

    /// The same for all names of this message.
    async fn apply_to(
        &self,
        message: MessageId,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError>;

    /// Looks at a portion of what is kept, the oldest first, from `after` on; applies what has a message, and deletes what
    /// came before `before` and is still kept: nobody's, or of a message that is open for so long.
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
