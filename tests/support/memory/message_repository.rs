use async_trait::async_trait;
use correio::application::ports::{Accepted, Claimed, KeptRequest, MessageRepository, Outcome, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::access::principal::Tenant;
use correio::domain::instance::Instance;
use correio::domain::message::attempt::Attempt;
use correio::domain::message::deferral::{Deferral, Deferred};
use correio::domain::message::{Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use correio::domain::receipt::ChannelMessage;
use correio::infrastructure::storage::shared::OutcomeRow;

use super::database::MemoryDatabase;
use super::tables::{Bug, KeptKey, Tables, storable};

const ACCEPT: &str = "messages.accept";
const CLAIM: &str = "messages.claim";
const DEFER: &str = "messages.defer";
const RECORD: &str = "messages.record";

#[derive(Clone)]
pub struct MemoryMessageRepository {
    database: MemoryDatabase,
}

impl MemoryMessageRepository {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }

    async fn write_outcome(&self, outcome: &Outcome, row: OutcomeRow) -> Result<bool, RepositoryError> {
        let outcome = outcome.clone();
        self.database.run(RECORD, move |tables| write(tables, &outcome, &row)).await
    }
}

#[async_trait]
impl MessageRepository for MemoryMessageRepository {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        let Some(request) = request else {
            let message = message.clone();
            self.database.run(ACCEPT, move |tables| insert(tables, &message)).await?;
            return Ok(Accepted::Stored);
        };
        // The key may expire and be deleted between the two questions: then it is free after all.
        for _ in 0..3 {
            let (stored, with) = (message.clone(), request.clone());
            if self.database.run(ACCEPT, move |tables| insert_with_key(tables, &stored, &with)).await? {
                return Ok(Accepted::Stored);
            }
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
        let place = (tenant.clone(), key.as_str().to_owned());
        let kept = self
            .database
            .run("messages.kept_request", move |tables| {
                Ok(tables.idempotency_keys.get(&place).filter(|kept| kept.expires_at > now).cloned())
            })
            .await?;
        let Some(KeptKey { fingerprint, accepted_as, message, .. }) = kept else { return Ok(None) };
        let message = self.find(message).await?;
        Ok(message.map(|message| KeptRequest { fingerprint, accepted_as, message }))
    }

    async fn free_key(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<(), RepositoryError> {
        let place = (tenant.clone(), key.as_str().to_owned());
        let free = move |tables: &mut Tables| {
            let message = tables.idempotency_keys.get(&place).and_then(|kept| tables.messages.get(&kept.message));
            let is_over =
                |message: &Message| matches!(message.status, MessageStatus::Failed | MessageStatus::Cancelled);
            if message.is_some_and(is_over) {
                tables.idempotency_keys.remove(&place);
            }
            Ok(())
        };
        self.database.run("messages.free_key", free).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError> {
        self.database.run("messages.find", move |tables| Ok(tables.messages.get(&id).cloned())).await
    }

    async fn claim(&self, id: MessageId, node: NodeId, now: Timestamp) -> Result<Option<Claimed>, RepositoryError> {
        let claimed = move |tables: &mut Tables| {
            let message = claim(tables, id, node, now)?;
            let remembered = tables.former_instances.get(&message.instance_id);
            let remembered = remembered.filter(|_| tables.has(Bug::ClaimsRememberInstances));
            let instance = tables.instances.get(&message.instance_id).or(remembered).cloned();
            Some(Claimed { message, destination: Ok(instance.map(Instance::destination)) })
        };
        self.database.run(CLAIM, move |tables| Ok(claimed(tables))).await
    }

    async fn defer(&self, deferral: &Deferral) -> Result<Deferred, RepositoryError> {
        let deferral = deferral.clone();
        self.database.run(DEFER, move |tables| defer(tables, &deferral)).await
    }

    async fn take_along(&self, guard: &Guard, node: NodeId, now: Timestamp) -> Result<bool, RepositoryError> {
        let guard = *guard;
        self.database.run("messages.take_along", move |tables| Ok(tables.take_along(&guard, node, now))).await
    }

    async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        let row = OutcomeRow::of(outcome);
        match self.write_outcome(outcome, row.clone()).await {
            Err(RepositoryError::Refused(_)) => self.write_outcome(outcome, row.without_texts()).await,
            written => written,
        }
    }
}

fn insert(tables: &mut Tables, message: &Message) -> Result<(), RepositoryError> {
    let Message { content, .. } = message;
    storable([
        Some(message.user_id.as_str()),
        Some(message.channel.as_str()),
        Some(message.channel_instance_id.as_str()),
        Some(message.recipient.as_str()),
        content.text.as_deref(),
        content.payload.as_deref(),
        content.template.as_deref(),
        content.record.as_deref(),
        content.media.as_ref().map(|media| media.url.as_str()),
        message.channel_message_id.as_deref(),
        message.error.as_deref(),
    ])?;
    if tables.messages.contains_key(&message.id) {
        return Err(RepositoryError::Conflict);
    }
    tables.insert(message.clone(), ACCEPT);
    Ok(())
}

/// False when another message has the key. An expired key is nobody's.
fn insert_with_key(
    tables: &mut Tables,
    message: &Message,
    request: &IdempotentRequest,
) -> Result<bool, RepositoryError> {
    let place = (message.tenant.clone(), request.key.as_str().to_owned());
    if tables.idempotency_keys.get(&place).is_some_and(|kept| kept.expires_at > message.created_at) {
        return Ok(false);
    }
    insert(tables, message)?;
    let kept = KeptKey {
        fingerprint: request.fingerprint,
        message: message.id,
        accepted_as: message.status,
        expires_at: message.created_at + request.kept_for,
    };
    tables.idempotency_keys.insert(place, kept);
    Ok(true)
}

/// Not guarded on the owner: with such a guard two relays can take turns for ever.
fn claim(tables: &mut Tables, id: MessageId, node: NodeId, now: Timestamp) -> Option<Message> {
    let message = tables.messages.get(&id)?;
    let waits = message.next_attempt_at.is_some() && !tables.has(Bug::ClaimIgnoresNextAttempt);
    if message.status == MessageStatus::Processing && message.node == Some(node) && tables.has(Bug::NodesClaimTwice) {
        return tables.claim(id, CLAIM, |message| {
            message.try_number += 1;
            message.tries += 1;
            Ok(())
        });
    }
    let is_others = message.node != Some(node) && tables.has(Bug::ClaimsOnlyItsOwn);
    if message.status != MessageStatus::Queued || waits || is_others {
        return None;
    }
    tables.claim(id, CLAIM, |message| message.claim(node, now))
}

fn defer(tables: &mut Tables, deferral: &Deferral) -> Result<Deferred, RepositoryError> {
    storable([Some(deferral.reason.as_str())])?;
    let Some(message) = tables.messages.get(&deferral.id) else { return Ok(Deferred::Nothing) };
    let waits = message.next_attempt_at.is_some() && !tables.has(Bug::PutsOffWhatIsTimed);
    if message.status != MessageStatus::Queued || waits {
        return Ok(Deferred::Nothing);
    }
    if message.deferrals >= tables.max_deferrals() && !tables.has(Bug::PutsOffForEver) {
        return Ok(Deferred::TooOften);
    }
    let deferred = tables.write(deferral.id, DEFER, |message| message.defer(deferral));
    Ok(deferred.and_then(|message| message.next_attempt_at).map_or(Deferred::Nothing, Deferred::Until))
}

fn write(tables: &mut Tables, outcome: &Outcome, row: &OutcomeRow) -> Result<bool, RepositoryError> {
    let guard = outcome.guard;
    storable([row.ending.channel_message_id.as_deref(), row.ending.error.as_deref()])?;
    // The guard on the state names those from which a try can end, whatever the caller believes.
    let under_way = matches!(guard.status, MessageStatus::Pending | MessageStatus::Processing);
    let still_its = match tables.messages.get(&guard.id) {
        Some(message) if tables.has(Bug::OutcomeIgnoresTry) => {
            message.guard() == Guard { try_number: message.try_number, ..guard }
        }
        Some(message) if tables.has(Bug::OutcomeIgnoresNode) => {
            message.guard() == Guard { node: message.node, ..guard }
        }
        _ => tables.is_as(&guard),
    };
    // A claim that a crash took back, and its outcome in one.
    let makes_good = guard.status == MessageStatus::Processing
        && tables.has_lost(&guard, row.ending.status)
        && !tables.has(Bug::LostClaimsStayLost);
    if !under_way || !(still_its || makes_good) {
        tables.refused(&guard, row.ending.status);
        return Ok(false);
    }
    let ending = row.ending.clone();
    tables.write(guard.id, RECORD, |message| match message.status {
        MessageStatus::Queued => message.claim_and_end(guard.node, outcome.started_at, ending),
        _ => message.end(ending),
    });
    tables.believed(&guard);
    if let (Some(name), Some(message)) = (row.name(), tables.messages.get(&guard.id)) {
        let of = ChannelMessage { instance: message.instance_id, id: name.to_owned() };
        tables.channel_messages.entry(of).or_insert(guard.id);
    }
    if row.has_row {
        let attempt = Attempt {
            number: guard.try_number,
            started_at: Some(outcome.started_at),
            finished_at: Some(outcome.finished_at),
            outcome: Some(row.ending.attempt),
            error: row.ending.error.clone(),
            http_status: row.ending.http_status,
        };
        tables.tell_attempt(guard.id, attempt);
    }
    Ok(true)
}
