use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use tracing::warn;
use uuid::Uuid;

use crate::application::ports::{ReceiptInbox, RepositoryError, Swept};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::receipt::receiving::REFUSED_LATER;
use crate::domain::receipt::{ChannelMessage, FoundReceipt, Receipt, ReceiptStatus, in_order};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_changing_probes;
use crate::infrastructure::storage::postgres::messages::receive;
use crate::infrastructure::storage::postgres::row::{get, parsed};
use crate::infrastructure::storage::shared::{ApplyRequest, Batch, Batcher, StoreRequest};

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

struct Applies {
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

/// Locked, so that of two processes that apply the same the second finds nothing.
const FIND: &str = "
    select receipts.instance_id,
           receipts.channel_message_id,
           receipts.status,
           receipts.occurred_at,
           receipts.reason,
           names.message_id
      from (select unnest($1::uuid[]) as instance_id, unnest($2::text[]) as channel_message_id) as asked
      join messaging_channel_messages as names
        on names.instance_id = asked.instance_id
       and names.channel_message_id = asked.channel_message_id
      join messaging_receipts as receipts
        on receipts.instance_id = asked.instance_id
       and receipts.channel_message_id = asked.channel_message_id
     order by receipts.instance_id, receipts.channel_message_id, receipts.status
       for update of receipts";

/// What was found and nothing else: another may have come meanwhile.
const DELETE: &str = "
    delete from messaging_receipts as receipts
     using (select unnest($1::uuid[]) as instance_id, unnest($2::text[]) as channel_message_id, unnest($3::text[]) as status)
           as applied
     where receipts.instance_id = applied.instance_id
       and receipts.channel_message_id = applied.channel_message_id
       and receipts.status = applied.status";

const PORTION_AFTER: &str = "
    select instance_id, channel_message_id, received_at
      from messaging_receipts
     where ($1::timestamptz is null or (received_at, instance_id, channel_message_id) > ($1, $2, $3))
     order by received_at, instance_id, channel_message_id
     limit $4";

const EXPIRE: &str = "
    delete from messaging_receipts as receipts
     using (select unnest($1::uuid[]) as instance_id, unnest($2::text[]) as channel_message_id) as looked_at
     where receipts.instance_id = looked_at.instance_id
       and receipts.channel_message_id = looked_at.channel_message_id
       and receipts.received_at < $3
       and not exists (
           select
             from messaging_channel_messages as names
            where names.instance_id = receipts.instance_id
              and names.channel_message_id = receipts.channel_message_id)";

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
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(vec![(); requests.len()])
    }
}

#[async_trait]
impl Batch for Applies {
    type Request = ApplyRequest;
    type Answer = ();

    async fn execute(&self, requests: &[ApplyRequest]) -> Result<Vec<()>, RepositoryError> {
        let Some(last) = requests.last() else { return Ok(Vec::new()) };
        let names: Vec<&ChannelMessage> = requests.iter().map(|request| &request.of).collect();
        apply(&self.database, &names, last.dead_lettered_at, last.now).await?;
        Ok(vec![(); requests.len()])
    }
}

/// In one transaction.
async fn apply(
    database: &PgDatabase,
    names: &[&ChannelMessage],
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let (instances, ids) = columns(names.iter().copied());
    let applied = async |connection: &mut PgConnection| {
        let mut transaction = begin_changing_probes(connection).await?;
        let rows = sqlx::query(FIND).bind(&instances).bind(&ids).fetch_all(&mut *transaction).await?;
        let found: Result<Vec<FoundReceipt>, RepositoryError> = rows.iter().map(found).collect();
        let Ok(found) = found.as_ref().map(Vec::as_slice) else { return Ok(found.map(|_| ())) };
        if found.is_empty() {
            transaction.rollback().await?;
            return Ok(Ok(()));
        }
        for (status, receipts) in in_order(found) {
            receive(&mut transaction, (status, &receipts), dead_lettered_at, now).await?;
        }
        let (instances, ids) = columns(found.iter().map(|one| &one.receipt.of));
        let statuses: Vec<&str> = found.iter().map(|one| one.receipt.status.as_str()).collect();
        sqlx::query(DELETE).bind(instances).bind(ids).bind(statuses).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    };
    database.run(applied).await?
}

/// In one transaction; or each by itself, when one of them cannot be applied, so that it holds up no other.
async fn apply_what_can_be(
    database: &PgDatabase,
    names: &[&ChannelMessage],
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    match apply(database, names, dead_lettered_at, now).await {
        Ok(()) => return Ok(()),
        Err(error @ RepositoryError::Unavailable(_)) => return Err(error),
        Err(_) => {}
    }
    for name in names {
        match apply(database, &[name], dead_lettered_at, now).await {
            Err(error @ RepositoryError::Unavailable(_)) => return Err(error),
            Err(error) => {
                let ChannelMessage { instance, id } = name;
                warn!(instance.id = %instance, channel_message.id = id, %error, "a receipt cannot be applied; tried again");
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

fn columns<'a>(names: impl Iterator<Item = &'a ChannelMessage>) -> (Vec<Uuid>, Vec<String>) {
    names.map(|name| (name.instance.0, name.id.clone())).unzip()
}

fn found(row: &PgRow) -> Result<FoundReceipt, RepositoryError> {
    let of = ChannelMessage { instance: InstanceId(get(row, "instance_id")?), id: get(row, "channel_message_id")? };
    let status = parsed(row, "status", ReceiptStatus::parse)?;
    let (at, reason) = (get(row, "occurred_at")?, get(row, "reason")?);
    let receipt = Receipt { of, message: None, status, at, reason };
    Ok(FoundReceipt { message: MessageId(get(row, "message_id")?), receipt })
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
        self.applies.submit(ApplyRequest { of: of.clone(), dead_lettered_at, now }).await
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
        let names: Vec<&ChannelMessage> = looked_at.iter().map(|one| &one.of).collect();
        apply_what_can_be(&self.database, &names, dead_lettered_at, now).await?;
        let (instances, ids) = columns(names.into_iter());
        let expire = sqlx::query(EXPIRE).bind(instances).bind(ids).bind(before);
        self.database.run(async |connection| expire.execute(connection).await).await?;
        Ok((looked_at.len() == PORTION as usize).then(|| last.clone()))
    }
}
