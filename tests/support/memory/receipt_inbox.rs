use async_trait::async_trait;
use correio::application::ports::{ReceiptInbox, RepositoryError, Swept};
use correio::domain::Timestamp;
use correio::domain::message::MessageId;
use correio::domain::receipt::{ChannelMessage, FoundReceipt, Receipt, ReceiptStatus, in_order};

use super::database::MemoryDatabase;
use super::tables::{Bug, Tables, storable};

const APPLY: &str = "receipts.apply";
const PORTION: usize = 100;

#[derive(Clone)]
pub struct MemoryReceiptInbox {
    database: MemoryDatabase,
}

impl MemoryReceiptInbox {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ReceiptInbox for MemoryReceiptInbox {
    async fn store(&self, receipt: &Receipt, now: Timestamp) -> Result<(), RepositoryError> {
        let receipt = receipt.clone();
        let store = move |tables: &mut Tables| {
            storable([Some(receipt.of.id.as_str()), receipt.reason.as_deref()])?;
            tables.sync();
            let named = receipt.message.and_then(|id| tables.messages.get(&id));
            if let Some(message) = named.filter(|message| message.instance_id == receipt.of.instance) {
                let id = message.id;
                tables.channel_messages.entry(receipt.of.clone()).or_insert(id);
            }
            tables.receipts.entry((receipt.of.clone(), receipt.status)).or_insert((receipt, now));
            Ok(())
        };
        self.database.run("receipts.store", store).await
    }

    async fn apply(
        &self,
        of: &ChannelMessage,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let of = of.clone();
        let apply = move |tables: &mut Tables| {
            apply(tables, &of, dead_lettered_at, now);
            Ok(())
        };
        self.database.run(APPLY, apply).await
    }

    async fn apply_to(
        &self,
        message: MessageId,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let apply = move |tables: &mut Tables| {
            let names = tables.channel_messages.iter().filter(|(_, of)| **of == message).map(|(name, _)| name.clone());
            apply_all(tables, message, &names.collect::<Vec<_>>(), dead_lettered_at, now);
            Ok(())
        };
        self.database.run(APPLY, apply).await
    }

    async fn sweep(
        &self,
        after: Option<&Swept>,
        before: Timestamp,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Swept>, RepositoryError> {
        let place = |swept: &Swept| (swept.received_at, swept.of.clone());
        let after = after.map(place);
        let sweep = move |tables: &mut Tables| {
            let kept = tables.receipts.iter().map(|((of, _), (_, at))| Swept { received_at: *at, of: of.clone() });
            let mut portion: Vec<Swept> =
                kept.filter(|one| after.as_ref().is_none_or(|after| place(one) > *after)).collect();
            portion.sort_by_key(place);
            portion.truncate(PORTION);
            for one in &portion {
                apply(tables, &one.of, dead_lettered_at, now);
                tables.receipts.retain(|(of, _), (_, at)| *of != one.of || *at >= before);
            }
            Ok(portion.last().filter(|_| portion.len() == PORTION).cloned())
        };
        self.database.run("receipts.sweep", sweep).await
    }
}

fn apply(tables: &mut Tables, of: &ChannelMessage, dead_lettered_at: Option<Timestamp>, now: Timestamp) {
    if let Some(message) = tables.channel_messages.get(of).copied() {
        apply_all(tables, message, std::slice::from_ref(of), dead_lettered_at, now);
    } else if tables.has(Bug::DeletesReceiptsOfNobody) {
        tables.receipts.retain(|(kept, _), _| kept != of);
    }
}

/// All of one message.
fn apply_all(
    tables: &mut Tables,
    message: MessageId,
    names: &[ChannelMessage],
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) {
    let receipts = tables.receipts.values().filter(|(receipt, _)| names.contains(&receipt.of));
    let found: Vec<_> = receipts.map(|(receipt, _)| FoundReceipt { message, receipt: receipt.clone() }).collect();
    for FoundReceipt { receipt, .. } in in_order(&found).into_iter().flat_map(|(_, receipts)| receipts) {
        let has_failed = receipt.status == ReceiptStatus::Failed;
        let ignores_name = tables.has(Bug::ReceiptsIgnoreTheName);
        tables.write(message, APPLY, |it| {
            let mut moved = it.clone();
            moved.channel_message_id.take_if(|_| ignores_name);
            moved.receive(receipt, dead_lettered_at.filter(|_| has_failed), now)?;
            *it = moved;
            Ok(())
        });
    }
    let deletes_all = tables.has(Bug::DeletesReceiptsOfOpenMessages);
    if deletes_all || tables.messages.get(&message).is_some_and(|message| !message.status.is_open()) {
        for FoundReceipt { receipt, .. } in found {
            tables.receipts.remove(&(receipt.of, receipt.status));
        }
    }
}
