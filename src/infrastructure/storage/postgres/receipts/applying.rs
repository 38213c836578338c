//! Applying receipts: finding what they are of, moving that, and deleting them.

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use tracing::warn;
use uuid::Uuid;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::receipt::{ChannelMessage, FoundReceipt, Receipt, ReceiptStatus, in_order};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_changing_probes;
use crate::infrastructure::storage::postgres::messages::{receive, settled};
use crate::infrastructure::storage::postgres::row::{get, parsed};
use crate::infrastructure::storage::shared::{ApplyRequest, Batch, ReceiptsOf};

pub struct Applies {
    pub database: PgDatabase,
}

/// Locked, so that of two processes that apply the same the second finds nothing.
///
/// Rows are locked in this order: receipts, then messages, then names. Who applies locks receipts, in order of their key, and
/// then messages, in order of id; who stores inserts receipts, in order of their key, and then names; who records locks messages,
/// in order of id, and then inserts names; who deletes an instance's open messages passes over what is locked. Nobody who holds a
/// message, or a name, waits for a receipt, so that no two wait for each other. (`tests/contracts/receipts/` has them all at once.)
const FIND: &str = "
    select receipts.instance_id,
           receipts.channel_message_id,
           receipts.status,
           receipts.occurred_at,
           receipts.reason,
           names.message_id
      from (select names.instance_id, names.channel_message_id, names.message_id
              from (select unnest($1::uuid[]) as instance_id, unnest($2::text[]) as channel_message_id) as asked
              join messaging_channel_messages as names
                on names.instance_id = asked.instance_id
               and names.channel_message_id = asked.channel_message_id
             union
            select names.instance_id, names.channel_message_id, names.message_id
              from unnest($3::uuid[]) as asked (message_id)
              join messaging_channel_messages as names
                on names.message_id = asked.message_id) as names
      join messaging_receipts as receipts
        on receipts.instance_id = names.instance_id
       and receipts.channel_message_id = names.channel_message_id
     order by receipts.instance_id, receipts.channel_message_id, receipts.status
       for update of receipts";

/// What was applied and nothing else: another may have come meanwhile.
const DELETE: &str = "
    delete from messaging_receipts as receipts
     using (select unnest($1::uuid[]) as instance_id, unnest($2::text[]) as channel_message_id, unnest($3::text[]) as status)
           as applied
     where receipts.instance_id = applied.instance_id
       and receipts.channel_message_id = applied.channel_message_id
       and receipts.status = applied.status";

#[async_trait]
impl Batch for Applies {
    type Request = ApplyRequest;
    type Answer = ();

    async fn execute(&self, requests: &[ApplyRequest]) -> Result<Vec<()>, RepositoryError> {
        let Some(last) = requests.last() else { return Ok(Vec::new()) };
        let of: Vec<&ReceiptsOf> = requests.iter().map(|request| &request.of).collect();
        apply(&self.database, &of, last.dead_lettered_at, last.now).await?;
        Ok(vec![(); requests.len()])
    }
}

/// In one transaction.
async fn apply(
    database: &PgDatabase,
    of: &[&ReceiptsOf],
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let names = of.iter().filter_map(|of| match of {
        ReceiptsOf::Name(name) => Some(name),
        ReceiptsOf::Message(_) => None,
    });
    let (instances, ids) = columns(names);
    let of_message = |of: &&ReceiptsOf| match of {
        ReceiptsOf::Name(_) => None,
        ReceiptsOf::Message(message) => Some(message.0),
    };
    let messages: Vec<Uuid> = of.iter().filter_map(of_message).collect();
    let applied = async |connection: &mut PgConnection| {
        let mut transaction = begin_changing_probes(connection).await?;
        let find = sqlx::query(FIND).bind(&instances).bind(&ids).bind(&messages);
        let rows = find.fetch_all(&mut *transaction).await?;
        let found: Vec<FoundReceipt> = match rows.iter().map(found).collect() {
            Ok(found) => found,
            Err(unreadable) => return Ok(Err(unreadable)),
        };
        let mut settled = match settled(&mut transaction, found.iter().map(|one| one.message)).await? {
            Ok(settled) => settled,
            Err(unreadable) => return Ok(Err(unreadable)),
        };
        let found: Vec<FoundReceipt> = found.into_iter().filter(|one| settled.contains_key(&one.message)).collect();
        if found.is_empty() {
            transaction.rollback().await?;
            return Ok(Ok(()));
        }
        for (status, receipts) in in_order(&found) {
            let moved = receive(&mut transaction, (status, &receipts), dead_lettered_at, now).await?;
            settled.extend(moved.into_iter().map(|message| (message, status.message_status())));
        }
        let is_applied = |one: &&FoundReceipt| settled.get(&one.message).is_some_and(|status| !status.is_open());
        let applied: Vec<&FoundReceipt> = found.iter().filter(is_applied).collect();
        let (instances, ids) = columns(applied.iter().map(|one| &one.receipt.of));
        let statuses: Vec<&str> = applied.iter().map(|one| one.receipt.status.as_str()).collect();
        sqlx::query(DELETE).bind(instances).bind(ids).bind(statuses).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    };
    database.run(applied).await?
}

/// In one transaction; or each by itself, when one of them cannot be applied, so that it holds up no other.
pub async fn apply_what_can_be(
    database: &PgDatabase,
    names: &[ReceiptsOf],
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    match apply(database, &names.iter().collect::<Vec<_>>(), dead_lettered_at, now).await {
        Ok(()) => return Ok(()),
        Err(error @ RepositoryError::Unavailable(_)) => return Err(error),
        Err(_) => {}
    }
    for name in names {
        match apply(database, &[name], dead_lettered_at, now).await {
            Err(error @ RepositoryError::Unavailable(_)) => return Err(error),
            Err(error) => warn!(?name, %error, "a receipt cannot be applied; tried again"),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Names, as the columns of parameters.
pub fn columns<'a>(names: impl Iterator<Item = &'a ChannelMessage>) -> (Vec<Uuid>, Vec<String>) {
    names.map(|name| (name.instance.0, name.id.clone())).unzip()
}

fn found(row: &PgRow) -> Result<FoundReceipt, RepositoryError> {
    let of = ChannelMessage { instance: InstanceId(get(row, "instance_id")?), id: get(row, "channel_message_id")? };
    let status = parsed(row, "status", ReceiptStatus::parse)?;
    let (at, reason) = (get(row, "occurred_at")?, get(row, "reason")?);
    let receipt = Receipt { of, message: None, status, at, reason };
    Ok(FoundReceipt { message: MessageId(get(row, "message_id")?), receipt })
}
