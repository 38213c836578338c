use async_trait::async_trait;

use super::changes::{Accepts, Claims, Deferrals, LostClaims, Outcomes, outcomes};
use super::taking_along::take_along;
use crate::application::ports::{Accepted, Claimed, KeptRequest, MessageRepository, Outcome, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::domain::access::principal::Tenant;
use crate::domain::message::deferral::{Deferral, Deferred};
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::shared::{AcceptRequest, Batcher, ClaimRequest, Recording};
use crate::infrastructure::storage::sqlite::SqliteDatabase;
use crate::infrastructure::storage::sqlite::error::translate;
use crate::infrastructure::storage::sqlite::row::{id, message, message_columns, sha256, status, time_text};

#[derive(Clone)]
pub struct SqliteMessageRepository {
    database: SqliteDatabase,
    accepts: Batcher<Accepts>,
    claims: Batcher<Claims>,
    deferrals: Batcher<Deferrals>,
    recording: Recording<Outcomes, LostClaims>,
}

impl SqliteMessageRepository {
    pub fn new(database: SqliteDatabase) -> Self {
        Self {
            accepts: Batcher::new(Accepts::new(database.clone())),
            claims: Batcher::new(Claims::new(database.clone())),
            deferrals: Batcher::new(Deferrals::new(database.clone())),
            recording: Recording::new(outcomes(database.clone())),
            database,
        }
    }
}

#[async_trait]
impl MessageRepository for SqliteMessageRepository {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        let accept = AcceptRequest { message: message.clone(), request: request.cloned() };
        if self.accepts.submit(accept).await? {
            return Ok(Accepted::Stored);
        }
        let unnamed = || RepositoryError::Corrupt("an idempotency key names no message".to_owned());
        let request = request.ok_or_else(unnamed)?;
        let kept = self.kept_request(&message.tenant, &request.key, message.created_at).await?;
        kept.map(|kept| Accepted::KeyTaken(Box::new(kept))).ok_or_else(unnamed)
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptRequest>, RepositoryError> {
        let kept = sqlx::query(
            "select fingerprint, accepted_as, message_id
               from messaging_idempotency_keys
              where tenant = ?1
                and key = ?2
                and expires_at > min(?3, coalesce(?4, ?3))",
        )
        .bind(tenant.as_str())
        .bind(key.as_str())
        .bind(time_text(now))
        .bind(self.database.lived().text())
        .fetch_optional(self.database.readers())
        .await
        .map_err(translate)?;
        let Some(kept) = kept else { return Ok(None) };
        let message = self.find(MessageId(id(&kept, "message_id")?)).await?;
        let (fingerprint, accepted_as) = (sha256(&kept, "fingerprint")?, status(&kept, "accepted_as")?);
        Ok(message.map(|message| KeptRequest { fingerprint, accepted_as, message }))
    }

    async fn free_key(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<(), RepositoryError> {
        self.database.is_in_its_place()?;
        sqlx::query(
            "delete from messaging_idempotency_keys
              where tenant = ?1
                and key = ?2
                and exists (select 1 from messaging_messages
                             where id = messaging_idempotency_keys.message_id
                               and status in ('failed', 'cancelled'))",
        )
        .bind(tenant.as_str())
        .bind(key.as_str())
        .execute(self.database.writer())
        .await
        .map_err(translate)?;
        Ok(())
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError> {
        let row = sqlx::query(concat!("select ", message_columns!(), " from messaging_messages where id = ?1"))
            .bind(id.0.hyphenated())
            .fetch_optional(self.database.readers())
            .await
            .map_err(translate)?;
        row.as_ref().map(message).transpose()
    }

    async fn claim(&self, id: MessageId, node: NodeId, now: Timestamp) -> Result<Option<Claimed>, RepositoryError> {
        self.claims.submit(ClaimRequest { id, node, now }).await?
    }

    async fn defer(&self, deferral: &Deferral) -> Result<Deferred, RepositoryError> {
        self.deferrals.submit(deferral.clone()).await
    }

    async fn take_along(&self, guard: &Guard, node: NodeId, now: Timestamp) -> Result<bool, RepositoryError> {
        take_along(&self.database, guard, node, now).await
    }

    async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        self.recording.record(outcome).await
    }
}
