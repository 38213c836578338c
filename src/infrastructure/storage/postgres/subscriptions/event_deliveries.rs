use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::application::ports::{EventDeliveries, EventMessage, NewDelivery, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::event::EventId;
use crate::domain::message::{Message, MessageId};
use crate::domain::subscription::{DeliveryOutcome, EventDelivery};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::messages::insert_all;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::{get, id, status};
use crate::infrastructure::storage::shared::subscriptions::delivery;

/// How many deliveries are forgotten in one statement.
const AT_ONCE: i64 = 1_000;

pub struct PgEventDeliveries {
    database: PgDatabase,
}

impl PgEventDeliveries {
    pub fn new(database: PgDatabase) -> Self {
        Self { database }
    }
}

/// In the order of the key, as every statement that writes several. What is there already gives no row back, unless it was
/// skipped and is a message now.
const NOTE: &str = "
    insert into messaging_event_deliveries as kept (event_id, subscription_id, message_id, at)
    select *
      from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[])
        as asked (event_id, subscription_id, message_id, at)
     order by event_id, subscription_id
        on conflict (event_id, subscription_id) do update
       set message_id = excluded.message_id,
           at = excluded.at
     where kept.message_id is null
       and excluded.message_id is not null
    returning message_id";

/// Planned with the weeks in its text.
const MESSAGES: &str = "
    select id, status, error
      from messaging_messages
     where id = any($1)
       and (id between :least and :greatest or id = :least)";

async fn record(connection: &mut PgConnection, deliveries: &[NewDelivery]) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let noted: Vec<Option<Uuid>> = sqlx::query_scalar(NOTE)
        .bind(deliveries.iter().map(|it| it.event.0).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|it| it.subscription.0).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|it| it.message.as_ref().map(|message| message.id.0)).collect::<Vec<_>>())
        .bind(deliveries.iter().map(|it| it.at).collect::<Vec<_>>())
        .fetch_all(&mut *transaction)
        .await?;
    let is_noted = |message: &&Message| noted.contains(&Some(message.id.0));
    let messages: Vec<&Message> = deliveries.iter().filter_map(|it| it.message.as_ref()).filter(is_noted).collect();
    insert_all(&mut transaction, &messages).await?;
    transaction.commit().await?;
    Ok(noted.len() as u64)
}

fn ids(events: &[EventId]) -> Vec<Uuid> {
    events.iter().map(|event| event.0).collect()
}

#[async_trait]
impl EventDeliveries for PgEventDeliveries {
    async fn record(&self, deliveries: &[NewDelivery]) -> Result<u64, RepositoryError> {
        if deliveries.is_empty() {
            return Ok(0);
        }
        self.database.run(async |connection| record(connection, deliveries).await).await
    }

    async fn of_events(&self, events: &[EventId]) -> Result<Vec<EventDelivery>, RepositoryError> {
        let query = sqlx::query(
            "select event_id, subscription_id, message_id, at
               from messaging_event_deliveries
              where event_id = any($1)",
        )
        .bind(ids(events));
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        rows.iter().map(delivery).collect()
    }

    async fn messages(&self, events: &[EventId]) -> Result<Vec<EventMessage>, RepositoryError> {
        let made: Vec<(EventId, MessageId)> = self
            .of_events(events)
            .await?
            .into_iter()
            .filter_map(|delivery| match delivery.outcome {
                DeliveryOutcome::Message(message) => Some((delivery.event, MessageId(message))),
                DeliveryOutcome::Skipped => None,
            })
            .collect();
        if made.is_empty() {
            return Ok(Vec::new());
        }
        let statement = NamedWeeks::of(made.iter().map(|(_, message)| *message)).name_in(MESSAGES);
        let query =
            sqlx::query(AssertSqlSafe(statement)).bind(made.iter().map(|(_, message)| message.0).collect::<Vec<_>>());
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        let found = rows.iter().map(|row| {
            let message = MessageId(id(row, "id")?);
            let event = made.iter().find(|(_, other)| *other == message).map(|(event, _)| *event);
            let status = status(row, "status")?;
            Ok(event.map(|event| EventMessage { event, message, status, error: None }).map(|mut it| {
                it.error = get(row, "error").unwrap_or_default();
                it
            }))
        });
        found.filter_map(Result::transpose).collect()
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        let query = sqlx::query(
            "delete from messaging_event_deliveries
              where (event_id, subscription_id) in (select event_id, subscription_id
                                                      from messaging_event_deliveries as old
                                                     where at < $1
                                                       and not exists (select from messaging_events where id = old.event_id)
                                                     limit $2)",
        )
        .bind(time)
        .bind(AT_ONCE);
        let deleted = self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(deleted.rows_affected() >= AT_ONCE.unsigned_abs())
    }
}
