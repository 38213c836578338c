use async_trait::async_trait;

use super::changes::{Accepts, Claims, Deferrals, LostClaims, Outcomes, claims, outcomes};
use super::taking_along::take_along;
use crate::application::ports::{Accepted, Claimed, KeptRequest, MessageRepository, Outcome, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::domain::access::principal::Tenant;
use crate::domain::message::deferral::{Deferral, Deferred};
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;
use crate::infrastructure::storage::postgres::PgDatabase;
use crate::infrastructure::storage::postgres::row::{get, message, message_columns, sha256, status};
use crate::infrastructure::storage::shared::{AcceptRequest, Batcher, ClaimRequest, Recording};

#[derive(Clone)]
pub struct PgMessageRepository {
    database: PgDatabase,
    accepts: Batcher<Accepts>,
    claims: Batcher<Claims>,
    deferrals: Batcher<Deferrals>,
    recording: Recording<Outcomes, LostClaims>,
}

impl PgMessageRepository {
    pub fn new(database: PgDatabase) -> Self {
        let (claims, deferrals) = claims(database.clone());
        Self {
            accepts: Batcher::new(Accepts::new(database.clone())),
            claims: Batcher::new(claims),
            deferrals: Batcher::new(deferrals),
            recording: Recording::new(outcomes(database.clone())),
            database,
        }
    }
}

#[async_trait]
impl MessageRepository for PgMessageRepository {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        // The key may expire and be deleted between the two queries: then it is free after all.
        for _ in 0..3 {
            let accept = AcceptRequest { message: message.clone(), request: request.cloned() };
            if self.accepts.submit(accept).await? {
                return Ok(Accepted::Stored);
            }
            let Some(request) = request else { break };
            if let Some(kept) = self.kept_request(&message.tenant, &request.key, message.created_at).await? {
                return Ok(Accepted::KeyTaken(Box::new(kept)));
            }
        }
        Err(RepositoryError::Corrupt("an idempotency key names no message".to_owned()))
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptRequest>, RepositoryError> {
        let query = sqlx::query(
            "select fingerprint, accepted_as, message_id
               from messaging_idempotency_keys
              where tenant = $1
                and key = $2
                and expires_at > least($3, clock_timestamp())",
        )
        .bind(tenant.as_str())
        .bind(key.as_str())
        .bind(now);
        let kept = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
        let Some(kept) = kept else { return Ok(None) };
        let message = self.find(MessageId(get(&kept, "message_id")?)).await?;
        let (fingerprint, accepted_as) = (sha256(&kept, "fingerprint")?, status(&kept, "accepted_as")?);
        Ok(message.map(|message| KeptRequest { fingerprint, accepted_as, message }))
    }

    async fn free_key(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<(), RepositoryError> {
        let query = sqlx::query(
            "delete from messaging_idempotency_keys
              where tenant = $1
                and key = $2
                and exists (select from messaging_messages
                             where id = messaging_idempotency_keys.message_id
                               and status in ('failed', 'cancelled'))",
        )
        .bind(tenant.as_str())
        .bind(key.as_str());
        self.database.run(async |connection| query.execute(connection).await).await?;
        Ok(())
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError> {
        let query =
            sqlx::query(concat!("select ", message_columns!(), " from messaging_messages where id = $1")).bind(id.0);
        let row = self.database.run(async |connection| query.fetch_optional(connection).await).await?;
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
