use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::counts::count;
use crate::application::ports::{OwedDeadLetters, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::message::{Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::begin_look;
use crate::infrastructure::storage::postgres::named_weeks::NamedWeeks;
use crate::infrastructure::storage::postgres::portion::fitting;
use crate::infrastructure::storage::postgres::row::{get, message_columns, messages};
use crate::infrastructure::storage::shared::{Batch, Batcher, PaidRequest};

#[derive(Clone)]
pub struct PgOwedDeadLetters {
    database: PgDatabase,
    payments: Batcher<Payments>,
}

/// On the connection for what may be later: of hundreds that are published at once, none takes one from a request.
struct Payments {
    database: PgDatabase,
}

/// Of each owner apart, one probe from one to the next: what others owe, and pay, is not walked past, however much it is. A message
/// without a node is owned by none of them either.
pub const OWED: &str = concat!(
    "
    with recursive owing (node_id) as (
        select '00000000-0000-0000-0000-000000000000'::uuid
         where $2::uuid[] is not null
        union all
        select following.node_id
          from owing
         cross join lateral (
                   select messages.node_id
                     from messaging_messages as messages
                    where messages.id >= :floor
                      and messages.node_id > owing.node_id
                      and messages.status = 'failed'
                      and messages.dead_lettered_at is null
                    order by messages.node_id
                    limit 1) as following
    ),
    owners (node_id) as (
        select $1::uuid
         union
        select node_id
          from owing
         where node_id <> all($2)
    ),
    owed (id) as (
        select id
          from (select of_one.id
                  from owners
                 cross join lateral (
                           select messages.id
                             from messaging_messages as messages
                            where messages.id >= :floor
                              and messages.node_id = owners.node_id
                              and messages.status = 'failed'
                              and messages.dead_lettered_at is null
                              and messages.id <> all($3)
                            order by messages.node_id, messages.id
                            limit $4) as of_one
                 union all
                select of_none.id
                  from (select messages.id
                          from messaging_messages as messages
                         where $2 is not null
                           and messages.id >= :floor
                           and messages.node_id is null
                           and messages.status = 'failed'
                           and messages.dead_lettered_at is null
                           and messages.id <> all($3)
                         order by messages.node_id, messages.id
                         limit $4) as of_none) as all_of_them
         order by id
         limit $4
    ),",
    fitting!("owed", "found.id", "messages.id >= :floor and "),
    "
    select ",
    message_columns!(),
    "
      from messaging_messages
     where id >= :floor
       and id = any(array(select id from fitting))
     order by id"
);

/// Guarded on the try: after a replay and a new failure it owes another record. `updated_at` stays as it was.
const PAY: &str = "
    update messaging_messages as messages
       set dead_lettered_at = paid.at
      from (select unnest($1::uuid[]) as paid_id, unnest($2::bigint[]) as try, unnest($3::timestamptz[]) as at) as paid
     where messages.id = paid.paid_id
       and (messages.id between :least and :greatest or messages.id = :least)
       and messages.status = 'failed'
       and greatest(messages.try, 0) = paid.try -- as it is read
       -- So written that no index on what is owed seems to serve: each row is looked up by its id.
       and (messages.dead_lettered_at is null) is true
    returning messages.id";

#[async_trait]
impl Batch for Payments {
    type Request = PaidRequest;
    /// False when it owes no record, or another one.
    type Answer = bool;

    async fn execute(&self, payments: &[PaidRequest]) -> Result<Vec<bool>, RepositoryError> {
        let mut in_order: Vec<&PaidRequest> = payments.iter().collect();
        in_order.sort_unstable_by_key(|payment| payment.id);
        let pay = NamedWeeks::of(payments.iter().map(|payment| payment.id)).name_in(PAY);
        let query = sqlx::query(AssertSqlSafe(pay))
            .bind(in_order.iter().map(|payment| payment.id.0).collect::<Vec<_>>())
            .bind(in_order.iter().map(|payment| i64::from(payment.try_number)).collect::<Vec<_>>())
            .bind(in_order.iter().map(|payment| payment.now).collect::<Vec<_>>());
        let pay = async |connection: &mut PgConnection| {
            let mut transaction = begin_look(connection).await?;
            let rows = query.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        let rows = self.database.upkeep.run(pay).await?;
        let paid: HashSet<Uuid> = rows.iter().map(|row| get(row, "id")).collect::<Result<_, _>>()?;
        Ok(payments.iter().map(|payment| paid.contains(&payment.id.0)).collect())
    }
}

impl PgOwedDeadLetters {
    pub fn new(database: PgDatabase) -> Self {
        Self { payments: Batcher::new(Payments { database: database.clone() }), database }
    }
}

#[async_trait]
impl OwedDeadLetters for PgOwedDeadLetters {
    async fn owed(
        &self,
        node: NodeId,
        adopting: Option<&[NodeId]>,
        held: &[MessageId],
        limit: u32,
    ) -> Result<Vec<Message>, RepositoryError> {
        let query = sqlx::query(AssertSqlSafe(self.database.floor.name_in(OWED)))
            .bind(node.0)
            .bind(adopting.map(|nodes| nodes.iter().map(|node| node.0).collect::<Vec<Uuid>>()))
            .bind(held.iter().map(|held| held.0).collect::<Vec<Uuid>>())
            .bind(i64::from(limit));
        let look = async |connection: &mut PgConnection| {
            let mut transaction = begin_look(connection).await?;
            let rows = query.fetch_all(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        let rows = self.database.upkeep.run(look).await?;
        Ok(messages(&rows))
    }

    async fn mark_paid(&self, id: MessageId, try_number: u32, now: Timestamp) -> Result<bool, RepositoryError> {
        self.payments.submit(PaidRequest { id, try_number, now }).await
    }

    async fn write_off(&self, gone: &[NodeId], limit: u32, now: Timestamp) -> Result<u64, RepositoryError> {
        let query = sqlx::query(AssertSqlSafe(self.database.floor.name_in(
            "with owed as (
                 select id
                   from messaging_messages as messages
                  where id >= :floor
                    and status = 'failed'
                    and dead_lettered_at is null
                    and not exists (select 1
                                      from messaging_nodes as nodes
                                     where nodes.publishes
                                       and nodes.left_at is null
                                       and nodes.id <> all($3))
                  order by id
                  limit $1
                    for update of messages skip locked
             )
             update messaging_messages
                set dead_lettered_at = $2
              where id >= :floor
                and id = any(array(select id from owed))",
        )))
        .bind(i64::from(limit))
        .bind(now)
        .bind(gone.iter().map(|gone| gone.0).collect::<Vec<Uuid>>());
        let written = self.database.upkeep.run(async |connection| query.execute(connection).await).await?;
        Ok(written.rows_affected())
    }

    async fn count(&self, most: u32) -> Result<u64, RepositoryError> {
        let query = sqlx::query(AssertSqlSafe(self.database.floor.name_in(
            "select count(*) as count
               from (select
                       from messaging_messages
                      where id >= :floor
                        and status = 'failed'
                        and dead_lettered_at is null
                      limit $1) as owed",
        )))
        .bind(i64::from(most));
        let row = self.database.run(async |connection| query.fetch_one(connection).await).await?;
        count(&row)
    }
}
