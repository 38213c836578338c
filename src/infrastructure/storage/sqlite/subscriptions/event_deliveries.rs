use async_trait::async_trait;
use uuid::Uuid;

use crate::application::ports::{EventDeliveries, EventMessage, NewDelivery, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::event::EventId;
use crate::domain::message::{Message, MessageId};
use crate::domain::subscription::EventDelivery;
use crate::infrastructure::storage::shared::subscriptions::delivery;
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::messages::insert_all;
use crate::infrastructure::storage::sqlite::row::{get, id, id_list, status, time_text};

/// How many deliveries are forgotten in one statement.
const AT_ONCE: i64 = 1_000;

pub struct SqliteEventDeliveries {
    database: SqliteDatabase,
}

impl SqliteEventDeliveries {
    pub fn new(database: SqliteDatabase) -> Self {
        Self { database }
    }
}

/// What is there already is not written, unless it was skipped and is a message now.
const NOTE: &str = "
    insert into messaging_event_deliveries as kept (event_id, subscription_id, message_id, at)
    values (?1, ?2, ?3, ?4)
        on conflict (event_id, subscription_id) do update
       set message_id = excluded.message_id,
           at = excluded.at
     where kept.message_id is null
       and excluded.message_id is not null";

fn ids(events: &[EventId]) -> String {
    id_list(events.iter().map(|event| event.0))
}

#[async_trait]
impl EventDeliveries for SqliteEventDeliveries {
    async fn record(&self, deliveries: &[NewDelivery]) -> Result<u64, RepositoryError> {
        if deliveries.is_empty() {
            return Ok(0);
        }
        self.database.is_in_its_place()?;
        let mut transaction = self.database.begin().await?;
        let (mut written, mut messages) = (0, Vec::<&Message>::new());
        for delivery in deliveries {
            let message = delivery.message.as_ref();
            let noted = sqlx::query(NOTE)
                .bind(delivery.event.0.hyphenated())
                .bind(delivery.subscription.0.hyphenated())
                .bind(message.map(|message| message.id.0).map(Uuid::hyphenated))
                .bind(time_text(delivery.at))
                .execute(&mut *transaction)
                .await
                .map_err(translate)?;
            written += noted.rows_affected();
            messages.extend(message.filter(|_| noted.rows_affected() == 1));
        }
        insert_all(&mut transaction, &messages).await.map_err(translate)?;
        transaction.commit().await.map_err(translate)?;
        Ok(written)
    }

    async fn of_events(&self, events: &[EventId]) -> Result<Vec<EventDelivery>, RepositoryError> {
        let rows = sqlx::query(
            "select event_id, subscription_id, message_id, at
               from messaging_event_deliveries
              where event_id in (select value from json_each(?1))",
        )
        .bind(ids(events))
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        rows.iter().map(delivery).collect()
    }

    async fn messages(&self, events: &[EventId]) -> Result<Vec<EventMessage>, RepositoryError> {
        let rows = sqlx::query(
            "select deliveries.event_id, messages.id, messages.status, messages.error
               from messaging_event_deliveries as deliveries
               join messaging_messages as messages
                 on messages.id = deliveries.message_id
              where deliveries.event_id in (select value from json_each(?1))",
        )
        .bind(ids(events))
        .fetch_all(self.database.readers())
        .await
        .map_err(translate)?;
        let found = rows.iter().map(|row| {
            Ok(EventMessage {
                event: EventId(id(row, "event_id")?),
                message: MessageId(id(row, "id")?),
                status: status(row, "status")?,
                error: get(row, "error")?,
            })
        });
        found.collect()
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        let deleted = sqlx::query(
            "delete from messaging_event_deliveries
              where (event_id, subscription_id) in (select event_id, subscription_id
                                                      from messaging_event_deliveries as old
                                                     where at < ?1
                                                       and not exists (select 1 from messaging_events where id = old.event_id)
                                                     limit ?2)",
        )
        .bind(time_text(time))
        .bind(AT_ONCE)
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(deleted.rows_affected() >= AT_ONCE.unsigned_abs())
    }
}
