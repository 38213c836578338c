use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;

/// Whose turn it is to call an instance that takes one call at a time, among all processes that share a database.
///
/// `tests/contracts/delivery/call_turns.rs` proves what is promised here.
#[async_trait]
pub trait CallTurns: Send + Sync {
    /// Takes the turn of the instance for this message, which the node is about to deliver. False while another message has it.
    /// One that has it already keeps it.
    ///
    /// A turn ends when it is given back, or its node is gone. Of those that ask again and again the one that asked first gets it
    /// next: a message that has just left does not overtake one that waits.
    async fn take(&self, instance: InstanceId, message: MessageId, node: NodeId) -> Result<bool, RepositoryError>;

    /// Ends the turn of the message, if it has it, and its wish for one.
    async fn give_back(&self, instance: InstanceId, message: MessageId) -> Result<(), RepositoryError>;
}
