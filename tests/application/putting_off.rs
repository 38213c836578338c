//! Messages whose instance may not be called now.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::delivery::consumption::PATIENCE;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::access::principal::Tenant;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::deferral::{Deferral, Deferred, MAX_DEFERRALS};
use correio::domain::message::delivery::{DeliveryError, FailureKind};
use correio::domain::message::{Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use tokio::sync::Semaphore;

use super::gateway::{CONCURRENCY, INSTANCE_CONCURRENCY, TestGateway, through_memory};
use super::scripted::Act;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::eventually::{SOON, eventually};
use crate::support::given;
use crate::support::memory_broker::MemoryBroker;

on_every_adapter![
    what_waits_behind_a_recipient_that_hangs_is_put_off_and_holds_up_nobody,
    the_relay_calls_no_instance_more_often_at_once_than_its_share,
    instances_that_hang_leave_the_relay_to_others,
    what_is_only_put_off_takes_no_place_in_the_relay,
    a_backlog_of_one_instance_keeps_no_others_waiting,
    a_message_waits_for_a_place_longer_than_for_a_process_that_can_deliver_it,
    a_message_that_was_put_off_too_often_is_claimed_and_put_off_without_a_try,
    what_this_process_cannot_deliver_waits_for_one_that_can_and_fails_at_last,
    claims_whose_answers_are_lost_spend_no_try,
];

const ONE: Partition = Partition(0);

async fn queued_to(adapters: &Adapters, gateway: &TestGateway, recipient: &str) -> Message {
    let owner = gateway.node.identity.current().unwrap();
    let message = given::message_of(&gateway.instance, MessageStatus::Queued, owner);
    adapters.stored(Message { recipient: recipient.to_owned(), ..message }).await
}

/// Of another instance with the same credentials.
async fn of_another_instance(adapters: &Adapters, gateway: &TestGateway) -> Message {
    let instance = another_instance(adapters, gateway, "other").await;
    let owner = gateway.node.identity.current().unwrap();
    adapters.stored(given::message_of(&instance, MessageStatus::Queued, owner)).await
}

async fn another_instance(adapters: &Adapters, gateway: &TestGateway, name: &str) -> Instance {
    let instance =
        Instance { id: InstanceId(given::id()), channel_instance_id: name.to_owned(), ..gateway.instance.clone() };
    let credentials = gateway.cipher().seal(instance.id, &gateway.credentials()).unwrap();
    let instance = Instance { credentials, ..instance };
    adapters.instances.insert(&instance).await.unwrap();
    instance
}

/// Calls of so many instances that hang, as many as each may have; they end when the gate is opened.
async fn hanging(adapters: &Adapters, gateway: &TestGateway, instances: usize) -> (Vec<Message>, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let owner = gateway.node.identity.current().unwrap();
    let mut hanging = Vec::new();
    for name in 0..instances {
        let instance = another_instance(adapters, gateway, &format!("hung-{name}")).await;
        for number in 0..INSTANCE_CONCURRENCY {
            let recipient = format!("recipient-{name}-{number}");
            gateway.channel.next_to(&recipient, Act::Wait(gate.clone()));
            let message = given::message_of(&instance, MessageStatus::Queued, owner);
            hanging.push(adapters.stored(Message { recipient, ..message }).await);
        }
    }
    (hanging, gate)
}

async fn instances_that_hang_leave_the_relay_to_others(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    // All places of the process, three times.
    let (hung, gate) = hanging(adapters, &gateway, 3 * CONCURRENCY / INSTANCE_CONCURRENCY).await;
    let running = gateway.work();
    gateway.until("all are called", async || (gateway.channel.calls().len() == hung.len()).then_some(())).await;
    let begun = gateway.clock.monotonic();
    let other = of_another_instance(adapters, &gateway).await;
    let is_sent = async || (adapters.now(&other).await.status == MessageStatus::Sent).then_some(());
    gateway.until("another instance's message is sent", is_sent).await;
    let waited = gateway.clock.monotonic() - begun;
    assert!(waited < PATIENCE * 2, "{waited:?}");
    gate.add_permits(hung.len());
    for message in &hung {
        let is_sent = async || (adapters.now(message).await.status == MessageStatus::Sent).then_some(());
        gateway.until("what hung is sent", is_sent).await;
    }
    assert_eq!(gateway.channel.calls().len(), hung.len() + 1, "each is called once");
    running.stop().await;
}

async fn what_is_only_put_off_takes_no_place_in_the_relay(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let (hung, gate) = hanging(adapters, &gateway, 1).await;
    let running = gateway.work();
    gateway.until("all are called", async || (gateway.channel.calls().len() == hung.len()).then_some(())).await;
    running.stop().await;
    // What waits for an instance without a place, all due, and behind it the message of another.
    let full = adapters.instances.find_any(hung[0].instance_id).await.unwrap().unwrap();
    let owner = gateway.node.identity.current().unwrap();
    for _ in 0..10 * CONCURRENCY {
        let waiting = adapters.stored(given::message_of(&full, MessageStatus::Queued, owner)).await;
        adapters.due.make_due(&[(waiting.id, owner)], gateway.clock.now()).await.unwrap();
    }
    let other = of_another_instance(adapters, &gateway).await;
    adapters.due.make_due(&[(other.id, owner)], gateway.clock.now()).await.unwrap();
    gateway.clock.advance(Duration::from_millis(1));
    let take = |full: Vec<InstanceId>| Take {
        full,
        limit: 8,
        limit_of_full: 512,
        now: gateway.clock.now(),
        ..given::take(owner, 0)
    };
    let taken = adapters.taken(&take(gateway.queue.full_instances())).await;
    assert_eq!((taken.len(), taken.last()), (10 * CONCURRENCY + 1, Some(&other.id)));
    gate.add_permits(hung.len());
}

/// Ten times what is taken at once, due before, and none of it put off.
async fn a_backlog_of_one_instance_keeps_no_others_waiting(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let owner = gateway.node.identity.current().unwrap();
    let busy = another_instance(adapters, &gateway, "busy").await;
    let count = 10 * 64;
    for number in 0..count {
        let recipient = format!("recipient-{number}");
        let message = Message { recipient, ..given::message_of(&busy, MessageStatus::Queued, owner) };
        let waiting = adapters.stored(message).await;
        adapters.due.make_due(&[(waiting.id, owner)], gateway.clock.now()).await.unwrap();
    }
    gateway.clock.advance(Duration::from_millis(1));
    let other = of_another_instance(adapters, &gateway).await;
    adapters.due.make_due(&[(other.id, owner)], gateway.clock.now()).await.unwrap();
    let running = gateway.work();
    let is_sent = async || (adapters.now(&other).await.status == MessageStatus::Sent).then_some(());
    gateway.until("another instance's message is sent", is_sent).await;
    let ahead = gateway.channel.calls().len();
    assert!(ahead < count / 3, "{ahead} of {count} were sent before");
    running.stop().await;
}

async fn a_message_waits_for_a_place_longer_than_for_a_process_that_can_deliver_it(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let (hung, gate) = hanging(adapters, &gateway, 1).await;
    let running = gateway.work();
    gateway.until("all are called", async || (gateway.channel.calls().len() == hung.len()).then_some(())).await;
    running.stop().await;
    let full = adapters.instances.find_any(hung[0].instance_id).await.unwrap().unwrap();
    let owner = gateway.node.identity.current().unwrap();
    let waiting = adapters.stored(given::message_of(&full, MessageStatus::Queued, owner)).await;
    let long_after = gateway.clock.now() + 2 * given::retry_policy().undeliverable_after;
    for times in 0..MAX_DEFERRALS + 5 {
        assert!(matches!(gateway.queue.hand_over(&waiting).await, Ok(Handover::Queued)));
        let now = adapters.now(&waiting).await;
        assert_eq!((now.status, now.tries), (MessageStatus::Queued, 0), "{times}: {:?}", now.error);
        let taken_at = now.next_attempt_at.unwrap().max(long_after);
        gateway.clock.advance((taken_at - gateway.clock.now()).to_std().unwrap_or_default());
        gateway.keep_node_alive.beat().await.unwrap();
        let node = gateway.node.identity.current().unwrap();
        adapters.taken(&Take { now: taken_at, ..given::take(node, 0) }).await;
    }
    gate.add_permits(hung.len());
}

async fn what_waits_behind_a_recipient_that_hangs_is_put_off_and_holds_up_nobody(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let gate = Arc::new(Semaphore::new(0));
    gateway.channel.next_to("ana", Act::Wait(gate.clone()));
    let mut to_ana = Vec::new();
    for _ in 0..4 {
        to_ana.push(queued_to(adapters, &gateway, "ana").await);
        broker.append_message(ONE, to_ana.last().unwrap());
    }
    let _consumer = gateway.consume();
    broker.assign(&[ONE]);
    eventually(SOON, "the first is called", async || gateway.channel.calls().first().copied()).await;

    gateway.until("nothing holds the window", async || broker.finished(ONE).filter(|upto| *upto == 3)).await;
    assert_eq!(adapters.now(&to_ana[0]).await.status, MessageStatus::Processing);
    let mut back_at = None;
    for waiting in &to_ana[1..] {
        let now = adapters.now(waiting).await;
        assert_eq!((now.status, now.tries, now.try_number, now.deferrals), (MessageStatus::Queued, 0, 0, 1));
        assert!(now.error.unwrap().contains("still being delivered") || back_at.is_some(), "it says why");
        assert!(back_at <= now.next_attempt_at, "and comes back after the one before it");
        back_at = now.next_attempt_at;
    }

    gate.add_permits(1);
    for message in &to_ana {
        let sent = gateway.relay_until(message.id, MessageStatus::Sent).await;
        assert_eq!((sent.tries, sent.error), (1, None));
    }
    let called: HashSet<MessageId> = gateway.channel.calls().into_iter().collect();
    assert_eq!((called.len(), gateway.channel.calls().len(), gateway.channel.calls()[0]), (4, 4, to_ana[0].id));
}

async fn the_relay_calls_no_instance_more_often_at_once_than_its_share(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let gate = Arc::new(Semaphore::new(0));
    let mut hanging = Vec::new();
    for index in 0..2 * INSTANCE_CONCURRENCY {
        let recipient = format!("recipient-{index}");
        gateway.channel.next_to(&recipient, Act::Wait(gate.clone()));
        hanging.push(queued_to(adapters, &gateway, &recipient).await);
    }
    let other = of_another_instance(adapters, &gateway).await;
    gateway.relay_until(other.id, MessageStatus::Sent).await;
    let the_rest_is_put_off = async || {
        let mut put_off = 0;
        for message in &hanging {
            let now = adapters.now(message).await;
            let for_its_share = now.error.as_ref().is_some_and(|error| error.contains("INSTANCE_CONCURRENCY"));
            put_off += usize::from(now.deferrals > 0 && now.tries == 0 && for_its_share);
        }
        (put_off == INSTANCE_CONCURRENCY).then_some(())
    };
    eventually(SOON, "what is over the share is put off", the_rest_is_put_off).await;
    let called = async || {
        let called = gateway.channel.calls().into_iter().filter(|id| *id != other.id).count();
        (called >= INSTANCE_CONCURRENCY).then_some(called)
    };
    assert_eq!(eventually(SOON, "its share is called", called).await, INSTANCE_CONCURRENCY);
    gate.add_permits(hanging.len());
    for message in &hanging {
        gateway.relay_until(message.id, MessageStatus::Sent).await;
    }
}

async fn a_message_that_was_put_off_too_often_is_claimed_and_put_off_without_a_try(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let gate = Arc::new(Semaphore::new(0));
    for index in 0..INSTANCE_CONCURRENCY {
        gateway.channel.next_to(&format!("recipient-{index}"), Act::Wait(gate.clone()));
    }
    let mut hanging = Vec::new();
    for index in 0..INSTANCE_CONCURRENCY {
        let message = queued_to(adapters, &gateway, &format!("recipient-{index}")).await;
        let gateway = gateway.gateway.clone();
        hanging.push(tokio::spawn(async move { gateway.queue.hand_over(&message).await }));
    }
    let all_hang = async || (gateway.channel.calls().len() == INSTANCE_CONCURRENCY).then_some(());
    eventually(SOON, "its share is taken", all_hang).await;

    let message = queued_to(adapters, &gateway, "ana").await;
    for times in 0..MAX_DEFERRALS + 3 {
        assert!(matches!(gateway.queue.hand_over(&message).await, Ok(Handover::Queued)));
        let now = adapters.now(&message).await;
        assert_eq!((now.status, now.tries, now.deferrals), (MessageStatus::Queued, 0, times + 1));
        assert_eq!(now.try_number, (times + 1).saturating_sub(MAX_DEFERRALS), "a claim counts, a try does not");
        let back_at = now.next_attempt_at.unwrap();
        let node = gateway.node.identity.current().unwrap();
        let take = Take { now: back_at, ..given::take(node, 0) };
        assert_eq!(adapters.taken(&take).await, [message.id]);
    }
    gate.add_permits(INSTANCE_CONCURRENCY);
    for call in hanging {
        call.await.unwrap().unwrap();
    }
    assert!(
        matches!(gateway.queue.hand_over(&message).await, Ok(Handover::Done(done)) if done.status == MessageStatus::Sent)
    );
}

async fn what_this_process_cannot_deliver_waits_for_one_that_can_and_fails_at_last(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let owner = gateway.node.identity.current().unwrap();
    let fax = Instance { channel: ChannelName::new("fax"), id: InstanceId(given::id()), ..gateway.instance.clone() };
    let sealed_elsewhere =
        Instance { id: InstanceId(given::id()), channel_instance_id: "b".to_owned(), ..gateway.instance.clone() };
    for (instance, sentence) in [(fax, "has no channel fax"), (sealed_elsewhere, "CREDENTIALS_KEY")] {
        adapters.instances.insert(&instance).await.unwrap();
        let message = adapters.stored(given::message_of(&instance, MessageStatus::Queued, owner)).await;
        let put_off = gateway.until_put_off(message.id, 3).await;
        assert_eq!((put_off.status, put_off.tries), (MessageStatus::Queued, 0), "whatever its tries, none is spent");
        assert!(put_off.error.unwrap().contains(sentence));
        let failed = gateway.relay_until(message.id, MessageStatus::Failed).await;
        let error = failed.error.unwrap();
        assert!(error.contains(sentence) && error.contains("UNDELIVERABLE_AFTER"), "{error}");
        assert_eq!(failed.failure, Some(FailureKind::Channel));
        let waited = (failed.updated_at - put_off.deferred_since.unwrap()).to_std().unwrap();
        assert!(waited >= given::retry_policy().undeliverable_after, "{waited:?}");
    }
    assert!(gateway.channel.calls().is_empty());
}

/// Makes claims and says that it does not know, so many times.
struct LostClaims {
    messages: Arc<dyn MessageRepository>,
    left: AtomicUsize,
}

#[async_trait]
impl MessageRepository for LostClaims {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        self.messages.accept(message, request).await
    }

    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptRequest>, RepositoryError> {
        self.messages.kept_request(tenant, key, now).await
    }

    async fn free_key(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<(), RepositoryError> {
        self.messages.free_key(tenant, key).await
    }

    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError> {
        self.messages.find(id).await
    }

    async fn claim(&self, id: MessageId, node: NodeId, now: Timestamp) -> Result<Option<Claimed>, RepositoryError> {
        let claimed = self.messages.claim(id, node, now).await?;
        let lost = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if claimed.is_some() && lost.is_ok() {
            return Err(RepositoryError::Unavailable("the answer was lost".to_owned()));
        }
        Ok(claimed)
    }

    async fn defer(&self, deferral: &Deferral) -> Result<Deferred, RepositoryError> {
        self.messages.defer(deferral).await
    }

    async fn take_along(&self, guard: &Guard, node: NodeId, now: Timestamp) -> Result<bool, RepositoryError> {
        self.messages.take_along(guard, node, now).await
    }

    async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        self.messages.record(outcome).await
    }
}

async fn claims_whose_answers_are_lost_spend_no_try(adapters: &Adapters) {
    let lossy = LostClaims { messages: adapters.messages.clone(), left: AtomicUsize::new(20) };
    let lossy = adapters.with(|stores| stores.messages = Arc::new(lossy));
    let gateway = TestGateway::start(&lossy).await;
    for _ in 0..2 {
        gateway.channel.next(Act::Fail(DeliveryError::transient("away")));
    }
    gateway.channel.next(Act::Panic);
    let owner = gateway.node.identity.current().unwrap();
    let message = Message { max_tries: 4, ..given::message_of(&gateway.instance, MessageStatus::Queued, owner) };
    let message = adapters.stored(message).await;
    let sent = gateway.relay_until(message.id, MessageStatus::Sent).await;
    assert_eq!((sent.tries, gateway.channel.calls().len()), (4, 4), "a try that panicked counts");
    assert!(sent.try_number > 20, "a claim counts for guards: {}", sent.try_number);
}
