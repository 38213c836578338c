use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, Transaction};
use tracing::warn;

use crate::application::ports::{ReceiptInbox, RepositoryError, Swept};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::receipt::receiving::REFUSED_LATER;
use crate::domain::receipt::{ChannelMessage, FoundReceipt, Receipt, ReceiptStatus, in_order};
use crate::infrastructure::storage::shared::{ApplyRequest, Batch, Batcher, ReceiptsOf, StoreRequest};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::messages::receive;
use crate::infrastructure::storage::sqlite::row::{get, id, parsed, status, time, time_text};

#[derive(Clone)]
pub struct SqliteReceiptInbox {
    stores: Batcher<Stores>,
    applies: Batcher<Applies>,
    database: SqliteDatabase,
}

/// Receipts that one sweep looks at.
const PORTION: u32 = 500;

impl SqliteReceiptInbox {
    pub fn new(database: SqliteDatabase) -> Self {
        Self {
            stores: Batcher::new(Stores { database: database.clone() }),
            applies: Batcher::new(Applies { database: database.clone() }),
            database,
        }
    }
}

/// What is kept, and how the message is to which it belongs.
macro_rules! find {
    ($condition:literal) => {
        concat!(
            "select receipts.instance_id, receipts.channel_message_id, receipts.status, receipts.occurred_at, receipts.reason,
                    names.message_id, messages.status as state
               from messaging_channel_messages as names
               join messaging_receipts as receipts
                 on receipts.instance_id = names.instance_id
                and receipts.channel_message_id = names.channel_message_id
               join messaging_messages as messages
                 on messages.id = names.message_id
              where ",
            $condition
        )
    };
}

const BY_NAME: &str = find!("names.instance_id = ?1 and names.channel_message_id = ?2");
const BY_MESSAGE: &str = find!("names.message_id = ?1 and ?2 is null");

struct Stores {
    database: SqliteDatabase,
}

struct Applies {
    database: SqliteDatabase,
}

#[async_trait]
impl Batch for Stores {
    type Request = StoreRequest;
    type Answer = ();

    async fn execute(&self, requests: &[StoreRequest]) -> Result<Vec<()>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        for StoreRequest { receipt, now } in requests {
            let has_failed = receipt.status == ReceiptStatus::Failed;
            sqlx::query(
                "insert into messaging_receipts
                        (instance_id, channel_message_id, status, occurred_at, reason, received_at)
                 values (?1, ?2, ?3, ?4, ?5, ?6)
                     on conflict do nothing",
            )
            .bind(receipt.of.instance.0.hyphenated())
            .bind(&receipt.of.id)
            .bind(receipt.status.as_str())
            .bind(time_text(receipt.at))
            .bind(has_failed.then(|| receipt.reason.as_deref().unwrap_or(REFUSED_LATER)))
            .bind(time_text(*now))
            .execute(&mut *transaction)
            .await
            .map_err(translate)?;
            if let Some(message) = receipt.message {
                note_name(&mut transaction, &receipt.of, message).await?;
            }
        }
        transaction.commit().await.map_err(translate)?;
        Ok(vec![(); requests.len()])
    }
}

/// Which of our messages a name stands for, where the channel says it.
async fn note_name(
    transaction: &mut Transaction<'_, Sqlite>,
    of: &ChannelMessage,
    message: MessageId,
) -> Result<(), RepositoryError> {
    sqlx::query(
        "insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
         select instance_id, ?2, id
           from messaging_messages
          where id = ?3
            and instance_id = ?1
             on conflict do nothing",
    )
    .bind(of.instance.0.hyphenated())
    .bind(&of.id)
    .bind(message.0.hyphenated())
    .execute(&mut **transaction)
    .await
    .map_err(translate)?;
    Ok(())
}

#[async_trait]
impl Batch for Applies {
    type Request = ApplyRequest;
    type Answer = ();

    async fn execute(&self, requests: &[ApplyRequest]) -> Result<Vec<()>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        for ApplyRequest { of, dead_lettered_at, now } in requests {
            apply(&mut transaction, of, *dead_lettered_at, *now).await?;
        }
        transaction.commit().await.map_err(translate)?;
        Ok(vec![(); requests.len()])
    }
}

async fn apply(
    transaction: &mut Transaction<'_, Sqlite>,
    of: &ReceiptsOf,
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let (statement, first, second) = match of {
        ReceiptsOf::Name(ChannelMessage { instance, id }) => (BY_NAME, instance.0, Some(id.as_str())),
        ReceiptsOf::Message(message) => (BY_MESSAGE, message.0, None),
    };
    let query = sqlx::query(statement).bind(first.hyphenated()).bind(second);
    let rows = query.fetch_all(&mut **transaction).await.map_err(translate)?;
    let found: Vec<FoundReceipt> = rows.iter().map(found).collect::<Result<_, _>>()?;
    // One message has them all, also if it has several names.
    let Some(row) = rows.first() else { return Ok(()) };
    let mut is_open = status(row, "state")?.is_open();
    for one in in_order(&found).into_iter().flat_map(|(_, receipts)| receipts) {
        is_open &= !receive(transaction, one, dead_lettered_at, now).await?;
    }
    if !is_open {
        for one in &found {
            delete(transaction, &one.receipt.of).await?;
        }
    }
    Ok(())
}

/// There is one writer: none has come since they were found.
async fn delete(transaction: &mut Transaction<'_, Sqlite>, of: &ChannelMessage) -> Result<(), RepositoryError> {
    sqlx::query("delete from messaging_receipts where instance_id = ?1 and channel_message_id = ?2")
        .bind(of.instance.0.hyphenated())
        .bind(&of.id)
        .execute(&mut **transaction)
        .await
        .map_err(translate)?;
    Ok(())
}

fn name(row: &SqliteRow) -> Result<ChannelMessage, RepositoryError> {
    Ok(ChannelMessage { instance: InstanceId(id(row, "instance_id")?), id: get(row, "channel_message_id")? })
}

fn found(row: &SqliteRow) -> Result<FoundReceipt, RepositoryError> {
    let status = parsed(row, "status", ReceiptStatus::parse)?;
    let (at, reason) = (time(row, "occurred_at")?, get(row, "reason")?);
    let receipt = Receipt { of: name(row)?, message: None, status, at, reason };
    Ok(FoundReceipt { message: MessageId(id(row, "message_id")?), receipt })
}

#[async_trait]
impl ReceiptInbox for SqliteReceiptInbox {
    async fn store(&self, receipt: &Receipt, now: Timestamp) -> Result<(), RepositoryError> {
        self.stores.submit(StoreRequest { receipt: receipt.clone(), now }).await
    }

    async fn apply(
        &self,
        of: &ChannelMessage,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.applies.submit(ApplyRequest { of: ReceiptsOf::Name(of.clone()), dead_lettered_at, now }).await
    }

    async fn apply_to(
        &self,
        message: MessageId,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.applies.submit(ApplyRequest { of: ReceiptsOf::Message(message), dead_lettered_at, now }).await
    }

    async fn sweep(
        &self,
        after: Option<&Swept>,
        before: Timestamp,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<Swept>, RepositoryError> {
        let mut transaction = self.database.begin().await?;
        let rows = sqlx::query(
            "select instance_id, channel_message_id, received_at
               from messaging_receipts
              where ?1 is null
                 or (received_at, instance_id, channel_message_id) > (?1, ?2, ?3)
              order by received_at, instance_id, channel_message_id
              limit ?4",
        )
        .bind(after.map(|after| time_text(after.received_at)))
        .bind(after.map(|after| after.of.instance.0.hyphenated()))
        .bind(after.map(|after| after.of.id.as_str()))
        .bind(PORTION)
        .fetch_all(&mut *transaction)
        .await
        .map_err(translate)?;
        let swept = |row| Ok(Swept { received_at: time(row, "received_at")?, of: name(row)? });
        let looked_at: Vec<Swept> = rows.iter().map(swept).collect::<Result<_, RepositoryError>>()?;
        for one in &looked_at {
            match apply(&mut transaction, &ReceiptsOf::Name(one.of.clone()), dead_lettered_at, now).await {
                Err(error) if error.may_pass() => return Err(error),
                Err(error) => {
                    warn!(instance.id = %one.of.instance, %error, "a receipt cannot be applied and is passed over")
                }
                Ok(_) => {}
            }
            if one.received_at < before {
                delete(&mut transaction, &one.of).await?;
            }
        }
        transaction.commit().await.map_err(translate)?;
        Ok(looked_at.last().filter(|_| looked_at.len() == PORTION as usize).cloned())
    }
}
