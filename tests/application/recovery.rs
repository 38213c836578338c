use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use correio::application::gateway::{Brokered, Transport};
use correio::application::messages::send_message::SendMessageError;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::access::principal::Tenant;
use correio::domain::message::deferral::{Deferral, Deferred};
use correio::domain::message::{Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};
use tokio::sync::Semaphore;

use super::gateway::{NODE_TIMEOUT, TestGateway};
use super::scripted::Act;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::gated_claims::GatedClaims;
use crate::support::gated_instances::GatedInstances;
use crate::support::given;
use crate::support::memory_broker::MemoryBroker;

on_every_adapter![
    a_delivery_that_panicked_is_given_back_and_ends,
    what_a_gone_node_was_delivering_is_delivered_by_another,
    what_a_gone_node_had_delivered_is_not_sent_again_if_its_channel_has_said_so,
    a_node_that_lost_touch_calls_no_channel_for_what_was_taken_over,
    a_node_that_lost_touch_while_it_prepared_calls_no_channel,
    a_claim_that_is_answered_too_late_calls_no_channel,
    what_a_node_that_lost_touch_had_begun_is_delivered_under_its_new_name,
    what_is_taken_along_to_a_name_that_goes_bad_meanwhile_is_taken_along_again,
    a_message_that_its_processes_die_of_fails_at_last,
    a_node_that_lost_touch_goes_on_under_a_new_name,
    an_accept_whose_answer_was_lost_is_delivered_once,
    what_the_relay_keeps_is_bounded_in_bytes,
];

async fn a_delivery_that_panicked_is_given_back_and_ends(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    gateway.channel.next(Act::Panic);
    let (sending, caller, command) = (gateway.gateway.clone(), gateway.caller(), gateway.command("ana"));
    let panicked = tokio::spawn(async move { sending.messages.send.execute(&caller, command).await }).await;
    assert!(panicked.unwrap_err().is_panic());
    let id = gateway.channel.calls()[0];
    let sent = gateway.relay_until(id, MessageStatus::Sent).await;
    assert_eq!((sent.try_number, gateway.channel.calls().len()), (2, 2));
}

async fn what_a_gone_node_was_delivering_is_delivered_by_another(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let dead = adapters.live_node().await;
    let pending = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Pending, dead)).await;
    let sent = gateway.relay_until(pending.id, MessageStatus::Sent).await;
    assert!(sent.sent_at.unwrap() - pending.created_at >= chrono::Duration::from_std(NODE_TIMEOUT).unwrap());
    assert_eq!(gateway.channel.calls(), [pending.id]);
}

async fn what_a_gone_node_had_delivered_is_not_sent_again_if_its_channel_has_said_so(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let dead = adapters.live_node().await;
    let pending = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Pending, dead)).await;
    let of = ChannelMessage { instance: gateway.instance.id, id: "wamid.1".to_owned() };
    let at = gateway.clock.now();
    let receipt = Receipt { of, message: Some(pending.id), status: ReceiptStatus::Delivered, at, reason: None };
    adapters.receipts.store(&receipt, at).await.unwrap();
    let delivered = gateway.relay_until(pending.id, MessageStatus::Delivered).await;
    assert_eq!(delivered.channel_message_id.as_deref(), Some("wamid.1"));
    assert!(gateway.channel.calls().is_empty(), "it was there already");
}

async fn a_node_that_lost_touch_calls_no_channel_for_what_was_taken_over(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let lost = gateway.node.identity.current().unwrap();
    let pending = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Pending, lost)).await;
    let other = adapters.live_node().await;
    assert_eq!(adapters.taken(&Take { gone: vec![lost], ..given::take(other, 1) }).await, [pending.id]);
    gateway.clock.advance(NODE_TIMEOUT);
    gateway.keep_node_alive.beat().await.unwrap();
    let Ok(Handover::Done(message)) = gateway.queue.hand_over(&pending).await else { panic!("not done") };
    assert_eq!((message.status, message.node), (MessageStatus::Queued, Some(other)));
    assert!(gateway.channel.calls().is_empty());
}

async fn a_node_that_lost_touch_while_it_prepared_calls_no_channel(adapters: &Adapters) {
    let instances = Arc::new(GatedInstances::new(adapters.instances.clone()));
    let gated = adapters.with(|stores| stores.instances = instances.clone());
    let gateway = TestGateway::start(&gated).await;
    let lost = gateway.node.identity.current().unwrap();
    let waiting = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Pending, lost)).await;
    let (queue, handed) = (gateway.queue.clone(), waiting.clone());
    let delivering = tokio::spawn(async move { queue.hand_over(&handed).await });
    while instances.read.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // It stands still while it reads the instance; others take over.
    gateway.clock.advance(NODE_TIMEOUT);
    gateway.keep_node_alive.beat().await.unwrap();
    let other = adapters.live_node().await;
    assert_eq!(adapters.taken(&Take { gone: vec![lost], ..given::take(other, 60) }).await, [waiting.id]);
    instances.gate.add_permits(1);
    let Ok(Ok(Handover::Done(message))) = delivering.await else { panic!("not done") };
    assert_eq!((message.status, message.node), (MessageStatus::Queued, Some(other)));
    assert!(gateway.channel.calls().is_empty());
}

async fn a_claim_that_is_answered_too_late_calls_no_channel(adapters: &Adapters) {
    let claims = Arc::new(GatedClaims::new(adapters.messages.clone()));
    let gated = adapters.with(|stores| stores.messages = claims.clone());
    let gateway = TestGateway::start(&gated).await;
    let lost = gateway.node.identity.current().unwrap();
    let waiting = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, lost)).await;
    let (queue, handed) = (gateway.queue.clone(), waiting.clone());
    let delivering = tokio::spawn(async move { queue.hand_over(&handed).await });
    while claims.made.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    gateway.clock.advance(NODE_TIMEOUT);
    gateway.keep_node_alive.beat().await.unwrap();
    let other = adapters.live_node().await;
    assert_eq!(adapters.taken(&Take { gone: vec![lost], ..given::take(other, 60) }).await, [waiting.id]);
    claims.gate.add_permits(2);
    let Ok(Ok(Handover::Done(message))) = delivering.await else { panic!("not done") };
    assert_eq!((message.status, message.node), (MessageStatus::Queued, Some(other)));
    assert!(gateway.channel.calls().is_empty());
}

async fn what_a_node_that_lost_touch_had_begun_is_delivered_under_its_new_name(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let former = gateway.node.identity.current().unwrap();
    let pending = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Pending, former)).await;
    gateway.clock.advance(NODE_TIMEOUT);
    let (queue, handed) = (gateway.queue.clone(), pending.clone());
    let delivering = tokio::spawn(async move { queue.hand_over(&handed).await });
    tokio::task::yield_now().await;
    assert!(gateway.channel.calls().is_empty(), "it waits for a name that is good");
    gateway.keep_node_alive.beat().await.unwrap();
    let Ok(Ok(Handover::Done(message))) = delivering.await else { panic!("not done") };
    let current = gateway.node.identity.current().unwrap();
    assert_eq!((message.status, message.node), (MessageStatus::Sent, Some(current)));
    assert_eq!(adapters.now(&pending).await.node, Some(current));
    assert_eq!(gateway.channel.calls(), [pending.id]);
    // The old name may be gone by now: nobody finds anything under it.
    let other = adapters.live_node().await;
    assert_eq!(adapters.taken(&Take { gone: vec![former], ..given::take(other, 60) }).await, []);
}

async fn what_is_taken_along_to_a_name_that_goes_bad_meanwhile_is_taken_along_again(adapters: &Adapters) {
    let along = Arc::new(GatedClaims::new(adapters.messages.clone()));
    let gated = adapters.with(|stores| stores.messages = along.clone());
    let gateway = TestGateway::start(&gated).await;
    let former = gateway.node.identity.current().unwrap();
    let pending = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Pending, former)).await;
    for _ in 0..2 {
        gateway.clock.advance(NODE_TIMEOUT);
        gateway.keep_node_alive.beat().await.unwrap();
    }
    let (queue, handed) = (gateway.queue.clone(), pending.clone());
    let delivering = tokio::spawn(async move { queue.hand_over(&handed).await });
    while along.made.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // Written, and not answered yet.
    gateway.clock.advance(NODE_TIMEOUT);
    along.gate.add_permits(1);
    while gateway.channel.calls().is_empty() && !delivering.is_finished() {
        gateway.keep_node_alive.beat().await.unwrap();
        along.gate.add_permits(1);
        tokio::task::yield_now().await;
    }
    let Ok(Ok(Handover::Done(message))) = delivering.await else { panic!("not done") };
    assert_eq!((message.status, message.node), (MessageStatus::Sent, gateway.node.identity.current()));
    assert_eq!(gateway.channel.calls(), [pending.id]);
    assert_eq!(along.made.load(Ordering::SeqCst), 2, "once for each name");
}

async fn a_message_that_its_processes_die_of_fails_at_last(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let dead = adapters.live_node().await;
    let waiting = adapters.stored(given::message_of(&gateway.instance, MessageStatus::Queued, dead)).await;
    let max_tries = waiting.max_tries;
    for _ in 0..max_tries + 10 {
        let claimed = adapters.messages.claim(waiting.id, dead, given::at(1)).await.unwrap().unwrap().message;
        assert_eq!(adapters.due.give_back(&[given::spent(claimed.guard())], given::at(2)).await.unwrap(), 1);
        assert_eq!(adapters.taken(&given::take(dead, 2)).await, [waiting.id]);
    }
    let failed = gateway.relay_until(waiting.id, MessageStatus::Failed).await;
    assert_eq!(failed.tries, max_tries + 11);
    assert!(failed.error.unwrap().contains("its process died each time"));
    assert!(gateway.channel.calls().is_empty());
}

async fn a_node_that_lost_touch_goes_on_under_a_new_name(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let lost = gateway.node.identity.current().unwrap();
    gateway.clock.advance(NODE_TIMEOUT);
    assert_eq!(gateway.node.identity.current(), None);
    gateway.keep_node_alive.beat().await.unwrap();
    let renamed = gateway.node.identity.current().unwrap();
    assert_ne!(renamed, lost);
    let message = gateway.messages.send.execute(&gateway.caller(), gateway.command("ana")).await.unwrap().message;
    assert_eq!(message.node, Some(renamed));
}

/// Commits what it is given and says that it does not know, once.
struct LostAnswer {
    messages: Arc<dyn MessageRepository>,
    lost: AtomicBool,
}

#[async_trait]
impl MessageRepository for LostAnswer {
    async fn accept(
        &self,
        message: &Message,
        request: Option<&IdempotentRequest>,
    ) -> Result<Accepted, RepositoryError> {
        let accepted = self.messages.accept(message, request).await?;
        if self.lost.swap(true, Ordering::Relaxed) {
            return Ok(accepted);
        }
        Err(RepositoryError::Unavailable("the answer was lost".to_owned()))
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
        self.messages.claim(id, node, now).await
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

async fn an_accept_whose_answer_was_lost_is_delivered_once(adapters: &Adapters) {
    let lossy = LostAnswer { messages: adapters.messages.clone(), lost: AtomicBool::new(false) };
    let lossy = adapters.with(|stores| stores.messages = Arc::new(lossy));
    let gateway = TestGateway::start(&lossy).await;
    let mut command = gateway.command("ana");
    command.request = Some(given::request("pedido-1", 1));
    let told = gateway.messages.send.execute(&gateway.caller(), command.clone()).await;
    assert!(matches!(told, Err(SendMessageError::Repository(RepositoryError::Unavailable(_)))));
    // Who comes again with the same key is not delivered twice.
    let again = gateway.messages.send.execute(&gateway.caller(), command.clone()).await;
    assert!(matches!(again, Err(SendMessageError::InFlight)));
    let stored = adapters.search.list(&gateway.instance.tenant, &MessageFilter::default(), None, 10).await.unwrap();
    gateway.relay_until(stored.messages[0].id, MessageStatus::Sent).await;
    let repeated = gateway.messages.send.execute(&gateway.caller(), command).await.unwrap();
    assert!(repeated.repeated && repeated.message.status == MessageStatus::Sent);
    assert_eq!(gateway.channel.calls(), [stored.messages[0].id]);
}

/// A broker that takes everything, and is done with a message when it is let through the gate.
struct SlowQueue {
    gate: Semaphore,
    /// Bytes of content that it was handed and is not done with, now and at most.
    kept: AtomicU64,
    most: AtomicU64,
    done: AtomicUsize,
}

#[async_trait]
impl MessageQueue for SlowQueue {
    fn waiting_status(&self) -> MessageStatus {
        MessageStatus::Queued
    }

    fn scope(&self) -> QueueScope {
        QueueScope::Shared
    }

    fn free_capacity(&self) -> usize {
        1_000
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        let bytes = message.content.bytes();
        let kept = self.kept.fetch_add(bytes, Ordering::SeqCst) + bytes;
        self.most.fetch_max(kept, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.kept.fetch_sub(bytes, Ordering::SeqCst);
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(Handover::Queued)
    }

    fn lost_before(&self) -> Option<Timestamp> {
        None
    }

    async fn close(&self) {}
}

async fn what_the_relay_keeps_is_bounded_in_bytes(adapters: &Adapters) {
    const MESSAGES: usize = 60;
    let queue =
        Arc::new(SlowQueue { gate: Semaphore::new(0), kept: 0.into(), most: 0.into(), done: AtomicUsize::new(0) });
    let (broker, slow) = (MemoryBroker::new(), queue.clone());
    let transport = |_: &_, _: &_| {
        Transport::Brokered(Brokered { queue: slow, dead_letters: broker.clone(), source: None, broker })
    };
    let gateway = TestGateway::through(adapters, transport).await;
    let dead = given::node();
    for _ in 0..MESSAGES {
        adapters.stored(given::large(MessageStatus::Queued, dead, 1)).await;
    }
    let running = gateway.work();
    let kept = || queue.kept.load(Ordering::SeqCst);
    gateway.until("a take is handed over", async || (kept() >= BYTES_AT_ONCE).then_some(())).await;
    gateway
        .until("everything is handed over", async || {
            if kept() > 0 && queue.gate.available_permits() == 0 {
                queue.gate.add_permits(1);
            }
            (queue.done.load(Ordering::SeqCst) == MESSAGES).then_some(())
        })
        .await;
    running.stop().await;
    let most = queue.most.load(Ordering::SeqCst);
    // A take when half of one is left, and the message that goes beyond.
    assert!(most <= BYTES_AT_ONCE / 2 + BYTES_AT_ONCE + (1 << 20), "{most} bytes");
}
