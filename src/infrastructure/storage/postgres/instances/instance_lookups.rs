//! Finding the instance of a message: every accept and delivery does so, many concurrently and most for the same one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::instance_row::{instance, instance_columns, select_instances};
use crate::application::ports::RepositoryError;
use crate::domain::instance::{Instance, InstanceId};
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::connections::{OwnConnection, PROBES};
use crate::infrastructure::storage::postgres::row::get;
use crate::infrastructure::storage::shared::{Batch, Batchable};

/// A row that cannot be read fails the callers that asked for it, and no others.
type Found = Result<Option<Instance>, RepositoryError>;

impl Batchable for InstanceId {
    type Key = ();

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}

pub(super) struct ById(OwnConnection);

impl ById {
    pub fn new(database: PgDatabase) -> Self {
        Self(OwnConnection::new(database, PROBES))
    }
}

#[async_trait]
impl Batch for ById {
    type Request = InstanceId;
    type Answer = Found;

    async fn execute(&self, ids: &[InstanceId]) -> Result<Vec<Found>, RepositoryError> {
        let different: HashSet<Uuid> = ids.iter().map(|id| id.0).collect();
        let query = sqlx::query(select_instances!("where id = any($1)")).bind(Vec::from_iter(different));
        let rows = self.0.run(async |connection| query.fetch_all(connection).await).await?;
        let id = |row: &PgRow| Ok((get::<Uuid>(row, "id")?, instance(row)));
        let found: HashMap<Uuid, _> = rows.iter().map(id).collect::<Result<_, RepositoryError>>()?;
        Ok(ids.iter().map(|id| found.get(&id.0).cloned().transpose()).collect())
    }
}

/// Tenant, channel and `channel_instance_id`.
pub(super) type Name = [String; 3];

impl Batchable for Name {
    type Key = ();

    fn size(&self) -> usize {
        self.iter().map(String::len).sum()
    }
}

pub(super) struct ByName(Arc<OwnConnection>);

impl ByName {
    pub fn new(database: PgDatabase) -> Self {
        Self(database.names)
    }
}

#[async_trait]
impl Batch for ByName {
    type Request = Name;
    type Answer = Found;

    async fn execute(&self, names: &[Name]) -> Result<Vec<Found>, RepositoryError> {
        let different: HashSet<&Name> = names.iter().collect();
        let part = |part: usize| different.iter().map(|name| name[part].as_str()).collect::<Vec<_>>();
        let query = sqlx::query(select_instances!(
            "join (select unnest($1::text[]), unnest($2::text[]), unnest($3::text[]))
                  as asked (asked_tenant, asked_channel, asked_name)
               on tenant = asked_tenant
              and channel = asked_channel
              and channel_instance_id = asked_name
              and purpose is null"
        ))
        .bind(part(0))
        .bind(part(1))
        .bind(part(2));
        let rows = self.0.run(async |connection| query.fetch_all(connection).await).await?;
        let name = |row: &PgRow| {
            let name: Name = [get(row, "tenant")?, get(row, "channel")?, get(row, "channel_instance_id")?];
            Ok((name, instance(row)))
        };
        let found: HashMap<Name, _> = rows.iter().map(name).collect::<Result<_, RepositoryError>>()?;
        Ok(names.iter().map(|name| found.get(name).cloned().transpose()).collect())
    }
}
