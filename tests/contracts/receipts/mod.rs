mod locks;
mod named_by_us;
mod receipt_inbox;
mod reported_sends;
mod stuck_messages;
mod waiting;

use correio::domain::message::{Message, MessageStatus};
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};

use crate::support::databases::Adapters;
use crate::support::given::{at, message, node};

fn receipt(of: &ChannelMessage, status: ReceiptStatus, seconds: i64) -> Receipt {
    let reason = (status == ReceiptStatus::Failed).then(|| "WhatsApp refused it later.".to_owned());
    Receipt { of: of.clone(), message: None, status, at: at(seconds), reason }
}

/// The message's name at its channel.
fn named(message: &Message, id: &str) -> ChannelMessage {
    ChannelMessage { instance: message.instance_id, id: id.to_owned() }
}

async fn pending(adapters: &Adapters) -> Message {
    adapters.stored(message(MessageStatus::Pending, node())).await
}

async fn received(adapters: &Adapters, of: &ChannelMessage, status: ReceiptStatus, seconds: i64) {
    adapters.receipts.store(&receipt(of, status, seconds), at(seconds)).await.unwrap();
    adapters.receipts.apply(of, Some(at(seconds)), at(seconds)).await.unwrap();
}

async fn is_now(adapters: &Adapters, message: &Message) -> MessageStatus {
    adapters.now(message).await.status
}
