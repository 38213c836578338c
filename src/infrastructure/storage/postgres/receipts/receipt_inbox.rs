use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};
use uuid::Uuid;

use super::applying::{Applies, apply_what_can_be, columns};
use crate::application::ports::{ReceiptInbox, RepositoryError, Swept};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::receipt::receiving::REFUSED_LATER;
use crate::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_changing_probes;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::{ApplyRequest, Batch, Batcher, ReceiptsOf, StoreRequest};

#[derive(Clone)]
pub struct PgReceiptInbox {
    stores: Batcher<Stores>,
    applies: Batcher<Applies>,
    database: PgDatabase,
}

/// Receipts that one sweep looks at.
const PORTION: i64 = 1_000;

impl PgReceiptInbox {
    /// However many receipts come, they have two or three connections of the pool.
    pub fn new(database: PgDatabase) -> Self {
        Self {
            stores: Batcher::new(Stores { database: database.clone() }),
            applies: Batcher::new(Applies { database: database.clone() }),
            database,
        }
    }
}

struct Stores {
    database: PgDatabase,
}

/// In the order of the key, as every statement that writes several.
const STORE: &str = "
    insert into messaging_receipts (instance_id, channel_message_id, status, occurred_at, reason, received_at)
    select *
      from (select unnest($1::uuid[]), unnest($2::text[]), unnest($3::text[]), unnest($4::timestamptz[]),
                   unnest($5::text[]), unnest($6::timestamptz[])) as receipts
     order by 1, 2, 3
        on conflict do nothing";

/// Which of our messages a name stands for, where the channel says it: most often it is known already.
pub const NOTE_NAMES: &str = "
    insert into messaging_channel_messages (instance_id, channel_message_id, message_id)
    select distinct on (asked.instance_id, asked.channel_message_id)
           asked.instance_id, asked.channel_message_id, messages.id
      from (select unnest($1::uuid[]) as instance_id, unnest($2::text[]) as channel_message_id, unnest($3::uuid[]) as message_id)
           as asked
      join messaging_messages as messages
        on messages.id = asked.message_id
       and messages.instance_id = asked.instance_id
     where (messages.id between :least and :greatest or messages.id = :least)
       and not exists (
           select
             from messaging_channel_messages as names
            where names.instance_id = asked.instance_id
              and names.channel_message_id = asked.channel_message_id)
     order by asked.instance_id, asked.channel_message_id
        on conflict do nothing";

const PORTION_AFTER: &str = "
    select instance_id, channel_message_id, received_at
      from messaging_receipts
     where ($1::timestamptz is null or (received_at, instance_id, channel_message_id) > ($1, $2, $3))
     order by received_at, instance_id, channel_message_id
     limit $4";

/// What could be applied, and was looked at, is gone.
const EXPIRE: &str = "
    delete from messaging_receipts as receipts
     using (select unnest($1::uuid[]) as instance_id, unnest($2::text[]) as channel_message_id) as looked_at
     where receipts.instance_id = looked_at.instance_id
       and receipts.channel_message_id = looked_at.channel_message_id
       and receipts.received_at < $3";

#[async_trait]
impl Batch for Stores {
    type Request = StoreRequest;
    type Answer = ();

    async fn execute(&self, requests: &[StoreRequest]) -> Result<Vec<()>, RepositoryError> {
        let of = |request: &StoreRequest| request.receipt.of.clone();
        let reason = |request: &StoreRequest| match request.receipt.status {
            ReceiptStatus::Failed => Some(request.receipt.reason.clone().unwrap_or_else(|| REFUSED_LATER.to_owned())),
            _ => None,
        };
        let query = sqlx::query(STORE)
            .bind(requests.iter().map(|request| of(request).instance.0).collect::<Vec<_>>())
            .bind(requests.iter().map(|request| of(request).id).collect::<Vec<_>>())
            .bind(requests.iter().map(|request| request.receipt.status.as_str()).collect::<Vec<_>>())
            .bind(requests.iter().map(|request| request.receipt.at).collect::<Vec<_>>())
            .bind(requests.iter().map(reason).collect::<Vec<_>>())
            .bind(requests.iter().map(|request| request.now).collect::<Vec<_>>());
        let named: Vec<&Receipt> =
            requests.iter().map(|request| &request.receipt).filter(|it| it.message.is_some()).collect();
        if named.is_empty() {
            self.database.run(async |connection| query.execute(connection).await).await?;
            return Ok(vec![(); requests.len()]);
        }
        let note = note_names(&named);
        let both = async |connection: &mut PgConnection| {
            let mut transaction = begin_changing_probes(connection).await?;
            query.execute(&mut *transaction).await?;
            note.execute(&mut *transaction).await?;
            transaction.commit().await
        };
        self.database.run(both).await?;
        Ok(vec![(); requests.len()])
    }
}

fn note_names<'q>(named: &[&Receipt]) -> Query<'q, Postgres, PgArguments> {
    let (instances, ids) = columns(named.iter().map(|receipt| &receipt.of));
    let messages: Vec<MessageId> = named.iter().filter_map(|receipt| receipt.message).collect();
    let statement = NamedWeeks::of(messages.iter().copied()).name_in(NOTE_NAMES);
    let messages: Vec<Uuid> = messages.into_iter().map(|message| message.0).collect();
    sqlx::query(AssertSqlSafe(statement)).bind(instances).bind(ids).bind(messages)
}

fn swept(row: &PgRow) -> Result<Swept, RepositoryError> {
    let of = ChannelMessage { instance: InstanceId(get(row, "instance_id")?), id: get(row, "channel_message_id")? };
    Ok(Swept { received_at: get(row, "received_at")?, of })
}

#[async_trait]
impl ReceiptInbox for PgReceiptInbox {
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
        let query = sqlx::query(PORTION_AFTER)
            .bind(after.map(|after| after.received_at))
            .bind(after.map(|after| after.of.instance.0))
            .bind(after.map(|after| after.of.id.as_str()))
            .bind(PORTION);
        let rows = self.database.run(async |connection| query.fetch_all(connection).await).await?;
        let looked_at: Vec<Swept> = rows.iter().map(swept).collect::<Result<_, _>>()?;
        let Some(last) = looked_at.last() else { return Ok(None) };
        let names: Vec<ReceiptsOf> = looked_at.iter().map(|one| ReceiptsOf::Name(one.of.clone())).collect();
        apply_what_can_be(&self.database, &names, dead_lettered_at, now).await?;
        let (instances, ids) = columns(looked_at.iter().map(|one| &one.of));
        let expire = sqlx::query(EXPIRE).bind(instances).bind(ids).bind(before);
        self.database.run(async |connection| expire.execute(connection).await).await?;
        Ok((looked_at.len() == PORTION as usize).then(|| last.clone()))
    }
}
