//! What the relay writes on the messages that it takes.

use correio::domain::Timestamp;
use correio::domain::message::{Content, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;

use super::tables::{Bug, Tables, fitting};

/// The writer of a [`Change`](super::Change) that takes what is due.
pub const TAKE: &str = "due.take";

/// Of these, as many of the first as may be taken at once.
pub(super) fn take_those(
    tables: &mut Tables,
    due: &[MessageId],
    node: NodeId,
    with_content: bool,
    now: Timestamp,
) -> Vec<Message> {
    let due = due.iter().map(|id| &tables.messages[id]);
    let due: Vec<MessageId> = if with_content {
        fitting(due).map(|message| message.id).collect()
    } else {
        due.map(|message| message.id).collect()
    };
    let lowers = tables.has(Bug::RelayLowersTries);
    let take_over = |message: &mut Message| {
        if lowers && message.status == MessageStatus::Processing {
            message.tries = message.tries.saturating_sub(1);
        }
        if message.status == MessageStatus::Cancelled {
            message.status = MessageStatus::Queued;
            message.node = Some(node);
            return Ok(());
        }
        message.take_over(node, now)
    };
    let taken = due.into_iter().filter_map(|id| tables.write(id, TAKE, take_over));
    let as_asked = |message: Message| {
        if with_content { message } else { Message { content: Content::default(), ..message } }
    };
    taken.map(as_asked).collect()
}
