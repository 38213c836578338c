//! Instances that are deleted while much of them is open.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::instance::{DELETED, Instance, InstanceId};
use correio::domain::message::{Message, MessageId, MessageStatus};
use futures::future::join_all;
use tokio::sync::Semaphore;

use super::gateway::{TestGateway, through_memory};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{instance, message_of, outcome, retry};
use crate::support::memory_broker::MemoryBroker;

on_every_adapter![
    a_deletion_is_answered_at_once_and_what_was_open_fails_afterwards,
    what_a_process_left_half_emptied_another_one_empties,
    where_dead_letters_have_a_topic_each_is_owed,
    what_comes_after_the_deletion_fails_in_the_same_words,
    what_the_database_refuses_keeps_no_other_instance_from_being_emptied,
];

/// More than two statements fail.
const MANY: usize = 2_100;

/// Fails as many portions as there are permits, and then stands still.
struct StandsStill {
    deleted: Arc<dyn DeletedInstances>,
    portions: Semaphore,
}

#[async_trait]
impl DeletedInstances for StandsStill {
    async fn list(&self, limit: u32) -> Result<Vec<InstanceId>, RepositoryError> {
        self.deleted.list(limit).await
    }

    async fn open_messages(
        &self,
        instances: &[InstanceId],
        after: &Position,
        reach: u32,
    ) -> Result<OpenMessages, RepositoryError> {
        self.deleted.open_messages(instances, after, reach).await
    }

    async fn fail(
        &self,
        instances: &[InstanceId],
        messages: &[MessageId],
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, RepositoryError> {
        self.portions.acquire().await.unwrap().forget();
        self.deleted.fail(instances, messages, reason, dead_lettered_at, now).await
    }

    async fn forget(&self, instances: &[InstanceId]) -> Result<(), RepositoryError> {
        self.deleted.forget(instances).await
    }
}

/// Refuses whatever is to be done to one of these messages.
struct Refuses {
    deleted: Arc<dyn DeletedInstances>,
    refused: Mutex<Vec<MessageId>>,
    looks: AtomicUsize,
}

#[async_trait]
impl DeletedInstances for Refuses {
    async fn list(&self, limit: u32) -> Result<Vec<InstanceId>, RepositoryError> {
        self.deleted.list(limit).await
    }

    async fn open_messages(
        &self,
        instances: &[InstanceId],
        after: &Position,
        reach: u32,
    ) -> Result<OpenMessages, RepositoryError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.deleted.open_messages(instances, after, reach).await
    }

    async fn fail(
        &self,
        instances: &[InstanceId],
        messages: &[MessageId],
        reason: &str,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<u64, RepositoryError> {
        if messages.iter().any(|message| self.refused.lock().unwrap().contains(message)) {
            return Err(RepositoryError::Refused("a constraint".to_owned()));
        }
        self.deleted.fail(instances, messages, reason, dead_lettered_at, now).await
    }

    async fn forget(&self, instances: &[InstanceId]) -> Result<(), RepositoryError> {
        self.deleted.forget(instances).await
    }
}

/// Queued messages of the gateway's own node.
async fn queued(adapters: &Adapters, gateway: &TestGateway, of: &Instance, count: usize) -> Vec<Message> {
    let owner = gateway.node.identity.current().unwrap();
    let messages: Vec<Message> = (0..count).map(|_| message_of(of, MessageStatus::Queued, owner)).collect();
    for some in messages.chunks(300) {
        for stored in join_all(some.iter().map(|message| adapters.messages.accept(message, None))).await {
            stored.unwrap();
        }
    }
    messages
}

async fn count(adapters: &Adapters, of: &Instance, status: MessageStatus) -> u64 {
    let counts = adapters.search.count(&of.tenant, &MessageFilter::default()).await.unwrap_or_else(|_| panic!());
    counts.get(&status).copied().unwrap_or_default()
}

/// Lets time pass until no deleted instance is left to be emptied.
async fn emptied(adapters: &Adapters, gateway: &TestGateway) {
    let none_is_left = async || adapters.deleted_instances.list(1).await.unwrap().is_empty().then_some(());
    gateway.until("every deleted instance is empty", none_is_left).await;
}

async fn a_deletion_is_answered_at_once_and_what_was_open_fails_afterwards(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let (doomed, other) = (gateway.instance.clone(), instance("acme", "other"));
    let mut open = queued(adapters, &gateway, &doomed, 30).await;
    let owner = gateway.node.identity.current().unwrap();
    let claimed = adapters.messages.claim(open[0].id, owner, gateway.clock.now()).await.unwrap().unwrap().message;
    assert!(adapters.messages.record(&outcome(&claimed, retry(3_600))).await.unwrap());
    open.push(adapters.stored(message_of(&doomed, MessageStatus::Pending, owner)).await);
    let others = queued(adapters, &gateway, &other, 3).await;

    gateway.instances.delete.execute(&gateway.caller(), doomed.id).await.unwrap();
    assert!(adapters.instances.find_any(doomed.id).await.unwrap().is_none());
    assert_eq!(count(adapters, &doomed, MessageStatus::Failed).await, 0);

    let emptying = gateway.empty_deleted_instances();
    emptied(adapters, &gateway).await;
    emptying.stop().await;
    for message in open {
        let now = adapters.now(&message).await;
        assert_eq!(now.status, MessageStatus::Failed);
        assert!(now.error.is_some_and(|error| error.starts_with(DELETED)));
        assert!(now.dead_lettered_at.is_some(), "the row is the dead letter");
    }
    for message in others {
        assert_eq!(format!("{:?}", adapters.now(&message).await), format!("{message:?}"));
    }
}

async fn what_a_process_left_half_emptied_another_one_empties(adapters: &Adapters) {
    let dying = StandsStill { deleted: adapters.deleted_instances.clone(), portions: Semaphore::new(1) };
    let dying = adapters.with(|stores| stores.deleted_instances = Arc::new(dying));
    let gateway = TestGateway::start(&dying).await;
    let doomed = gateway.instance.clone();
    let messages = queued(adapters, &gateway, &doomed, MANY).await;
    gateway.instances.delete.execute(&gateway.caller(), doomed.id).await.unwrap();
    let emptying = gateway.empty_deleted_instances();
    let some = async || Some(count(adapters, &doomed, MessageStatus::Failed).await).filter(|failed| *failed > 0);
    assert_eq!(gateway.until("some have failed", some).await, 1_000);
    drop(emptying);
    assert_eq!(adapters.deleted_instances.list(10).await.unwrap(), [doomed.id]);

    // Its name is free: the next one has an instance of it.
    let next = TestGateway::start(adapters).await;
    let anew = queued(adapters, &next, &next.instance, 2).await;
    let emptying = next.empty_deleted_instances();
    emptied(adapters, &next).await;
    emptying.stop().await;
    assert_eq!(count(adapters, &doomed, MessageStatus::Failed).await, MANY as u64);
    for message in messages {
        let now = adapters.now(&message).await;
        assert_eq!((now.status, now.try_number, now.tries), (MessageStatus::Failed, 1, 1));
    }
    for message in anew {
        assert_eq!(adapters.now(&message).await.status, MessageStatus::Queued);
    }
}

async fn where_dead_letters_have_a_topic_each_is_owed(adapters: &Adapters) {
    let broker = MemoryBroker::new();
    let gateway = TestGateway::through(adapters, through_memory(&broker)).await;
    let doomed = gateway.instance.clone();
    let messages = queued(adapters, &gateway, &doomed, 5).await;
    gateway.instances.delete.execute(&gateway.caller(), doomed.id).await.unwrap();
    let emptying = gateway.empty_deleted_instances();
    emptied(adapters, &gateway).await;
    emptying.stop().await;
    let owner = gateway.node.identity.current().unwrap();
    let owed = adapters.owed_dead_letters.owed(owner, None, &[], 10).await.unwrap();
    let ids = |messages: &[Message]| messages.iter().map(|message| message.id).collect::<Vec<_>>();
    assert_eq!(ids(&owed), ids(&messages));
}

/// Another process remembers the instance for a moment, or somebody replays what has failed.
async fn what_comes_after_the_deletion_fails_in_the_same_words(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let doomed = gateway.instance.clone();
    gateway.instances.delete.execute(&gateway.caller(), doomed.id).await.unwrap();
    let emptying = gateway.empty_deleted_instances();
    emptied(adapters, &gateway).await;
    emptying.stop().await;
    let gone = adapters.live_node().await;
    let late = adapters.stored(message_of(&doomed, MessageStatus::Queued, gone)).await;
    let failed = gateway.relay_until(late.id, MessageStatus::Failed).await;
    assert_eq!(failed.error.as_deref(), Some(DELETED));
    assert!(gateway.channel.calls().is_empty());
    assert_eq!(adapters.deleted_instances.list(10).await.unwrap(), []);
}

/// More of them than are emptied together, and they were deleted first.
async fn what_the_database_refuses_keeps_no_other_instance_from_being_emptied(adapters: &Adapters) {
    let refuses = Arc::new(Refuses {
        deleted: adapters.deleted_instances.clone(),
        refused: Mutex::default(),
        looks: AtomicUsize::new(0),
    });
    let adapters = &adapters.with(|stores| stores.deleted_instances = refuses.clone());
    let gateway = TestGateway::start(adapters).await;
    let (now, mut open) = (gateway.clock.now(), Vec::new());
    for number in 0..120 {
        let doomed = instance("acme", &format!("hook {number}"));
        adapters.instances.insert(&doomed).await.unwrap();
        let messages = queued(adapters, &gateway, &doomed, 2).await;
        let deleted_at = now + chrono::Duration::milliseconds(number);
        assert!(adapters.instances.delete(&doomed.tenant, doomed.id, deleted_at).await.unwrap());
        if number < 110 {
            refuses.refused.lock().unwrap().push(messages[0].id);
            open.push(messages[1].clone());
        } else {
            open.extend(messages);
        }
    }
    let emptying = gateway.empty_deleted_instances();
    let are_all_others_failed = async || {
        let failed = count(adapters, &gateway.instance, MessageStatus::Failed).await;
        (failed == open.len() as u64).then_some(())
    };
    gateway.until("everything else has failed", are_all_others_failed).await;
    let begun = gateway.clock.monotonic();
    let looks = refuses.looks.load(Ordering::SeqCst);
    let some_time = async || (gateway.clock.monotonic() > begun + Duration::from_secs(1_200)).then_some(());
    gateway.until("twenty minutes have passed", some_time).await;
    let looks = refuses.looks.load(Ordering::SeqCst) - looks;
    assert!((1..=40).contains(&looks), "looked through the open messages {looks} times");
    emptying.stop().await;
}
