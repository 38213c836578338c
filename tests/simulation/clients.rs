//! Those who send, now or for later, and may take it back; and the operator who replays what failed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use correio::application::Stop;
use correio::application::broadcasts::change_broadcast::ChangeBroadcastError;
use correio::application::broadcasts::send_broadcast::{SendBroadcastCommand, SendBroadcastError, To};
use correio::application::instances::delete_instance::DeleteInstanceError;
use correio::application::messages::send_message::{SendMessageCommand, SendMessageError};
use correio::application::ports::{BroadcastChange, Cancellation, FailedSelection, Tasks};
use correio::application::service::Repeated;
use correio::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::access::principal::{Principal, Scope};
use correio::domain::broadcast::recipient::BroadcastRecipient;
use correio::domain::broadcast::{BroadcastDraft, BroadcastId};
use correio::domain::instance::{Instance, InstanceName};
use correio::domain::message::{Content, Draft, MessageId, MessageStatus, Recipient};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::pending;

use super::chronicle::{Answer, Chronicle};
use super::process::SimProcess;
use super::scheduler::{OUTSIDE, Scheduler};
use super::weather;
use crate::support::given;

/// Of the broadcast that a client sends.
pub const RECIPIENTS: u32 = 60;

#[derive(Clone)]
pub struct Clients {
    pub scheduler: Scheduler,
    pub chronicle: Chronicle,
    pub processes: Arc<Mutex<Vec<SimProcess>>>,
    pub instance: Instance,
    /// Of the same tenant: every fourth recipient is one of its.
    pub second: Instance,
    /// How likely what is queued is taken back.
    pub taken_back: f64,
    /// The second instance is deleted some time, and some of its messages are sent for later than a run lasts.
    pub deletes: bool,
    /// How many wait for an answer, or have not asked yet.
    pub open: Arc<AtomicUsize>,
}

impl Clients {
    /// Sends so many messages before `end`: some alone, most in a few crowds. With `shared_keys`, two clients send each key,
    /// most often at once.
    pub fn start(&self, messages: u32, end: Duration, shared_keys: bool) {
        let some_time = || self.scheduler.between(Duration::from_millis(10), end);
        let crowds = [some_time(), some_time(), some_time()];
        let mut at = Duration::ZERO;
        for number in 0..messages {
            let group = if shared_keys { number / 2 } else { number };
            let is_second = shared_keys && !number.is_multiple_of(2);
            if !is_second || self.scheduler.chance(0.3) {
                let crowd = self.scheduler.draw(|rng| rng.usize(0..crowds.len() + 1));
                at = crowds.get(crowd).copied().unwrap_or_else(some_time);
            }
            let jitter = self.scheduler.between(Duration::ZERO, Duration::from_millis(20));
            let key = (!group.is_multiple_of(3)).then(|| format!("key-{group}"));
            self.begin(key, at + jitter);
        }
    }

    fn begin(&self, key: Option<String>, at: Duration) {
        let client = self.clone();
        self.open.fetch_add(1, Ordering::Relaxed);
        self.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                client.scheduler.sleep(at).await;
                client.send(key.as_deref()).await;
                client.open.fetch_sub(1, Ordering::Relaxed);
            }),
        );
    }

    /// Again and again until it is told what became of it.
    async fn send(&self, key: Option<&str>) {
        let recipient = format!("r{}", self.scheduler.draw(|rng| rng.u32(0..4)));
        let ahead = self.scheduler.chance(0.1).then(|| self.scheduler.between(Duration::ZERO, Duration::from_secs(15)));
        let is_far = self.deletes && recipient == "r3" && self.scheduler.chance(0.5);
        let ahead = if is_far { Some(Duration::from_secs(3_600)) } else { ahead };
        for _ in 0..200 {
            // Without a key, asking again would be another message.
            if self.once(key, &recipient, ahead).await || key.is_none() {
                return;
            }
            self.scheduler.sleep(self.scheduler.between(Duration::from_millis(100), Duration::from_secs(2))).await;
        }
    }

    /// One request; false when its answer did not come, or said to come again.
    async fn once(&self, key: Option<&str>, recipient: &str, ahead: Option<Duration>) -> bool {
        let Some((tasks, gateway)) = self.somebody(|process| (process.tasks.clone(), process.gateway.clone())) else {
            return false;
        };
        // The text of a message with a key is its key, so that two of one are seen.
        let text = key.unwrap_or("Olá").to_owned();
        let instance = if recipient == "r3" { &self.second } else { &self.instance };
        let command = SendMessageCommand {
            channel: instance.channel.clone(),
            channel_instance_id: InstanceName::parse(instance.channel_instance_id.clone()).unwrap(),
            draft: Draft {
                send_at: ahead.map(|ahead| given::at(0) + self.scheduler.now() + ahead),
                ..Draft::new(Recipient::parse(recipient).unwrap(), Content { text: Some(text), ..Content::default() })
            },
            request: key.map(|key| IdempotentRequest::new(IdempotencyKey::parse(key.as_bytes()).unwrap(), [1; 32])),
        };
        let tenant = self.instance.tenant.clone();
        let caller = Principal { tenant, subject: "user".to_owned(), scopes: Scope::ALL.to_vec() };
        let (answer, answered) = oneshot::channel();
        tasks.spawn(Box::pin(async move {
            let _ = answer.send(gateway.messages.send.execute(&caller, command).await);
        }));
        match answered.await {
            Ok(Ok(submission)) => {
                let (id, status) = (submission.message.id, submission.message.status);
                self.chronicle.say_of(id, self.scheduler.now(), format!("its client is told: {status}"));
                self.chronicle.answered(Answer { id, status });
                if status == MessageStatus::Queued && self.scheduler.chance(self.taken_back) {
                    self.takes_back(id);
                }
                true
            }
            Ok(Err(
                SendMessageError::Repository(_)
                | SendMessageError::InFlight
                | SendMessageError::Busy(_)
                | SendMessageError::NotYet(_),
            ))
            | Err(_) => false,
            Ok(Err(SendMessageError::UnknownInstance)) if self.deletes => true,
            Ok(Err(other)) => panic!("a client was told {other}"),
        }
    }

    /// Some time later a client asks to cancel what it sent, until it is told what became of it.
    fn takes_back(&self, id: MessageId) {
        let client = self.clone();
        self.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                let latest = Duration::from_secs(if client.scheduler.chance(0.5) { 1 } else { 10 });
                client.scheduler.sleep(client.scheduler.between(Duration::ZERO, latest)).await;
                for _ in 0..20 {
                    if client.cancel(id).await {
                        return;
                    }
                    let pause = client.scheduler.between(Duration::from_millis(50), Duration::from_secs(1));
                    client.scheduler.sleep(pause).await;
                }
            }),
        );
    }

    /// One request; false when its answer did not come, or said to come again.
    async fn cancel(&self, id: MessageId) -> bool {
        let Some((tasks, gateway)) = self.somebody(|process| (process.tasks.clone(), process.gateway.clone())) else {
            return false;
        };
        let tenant = self.instance.tenant.clone();
        let (answer, answered) = oneshot::channel();
        tasks.spawn(Box::pin(async move {
            let _ = answer.send(gateway.messages.cancel.execute(&tenant, id).await);
        }));
        let Ok(Ok(cancellation)) = answered.await else { return false };
        self.chronicle.say_of(id, self.scheduler.now(), format!("who would cancel it is told: {cancellation:?}"));
        if cancellation == Cancellation::Cancelled {
            self.chronicle.cancelled(id);
        }
        if let Cancellation::NotQueued(status) = cancellation {
            self.chronicle.not_taken_back(id, status, self.scheduler.now());
        }
        cancellation != Cancellation::InDoubt
    }

    /// Deletes the second instance at some time before `end`, asking until it is told that it is gone.
    pub fn delete_second(&self, end: Duration) {
        let client = self.clone();
        self.open.fetch_add(1, Ordering::Relaxed);
        self.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                client.scheduler.sleep(client.scheduler.between(Duration::from_secs(2), end)).await;
                client.chronicle.say(client.scheduler.now(), "the second instance is to be deleted");
                client.chronicle.deletion_asked(client.scheduler.now());
                while !client.is_deleted().await {
                    client.scheduler.sleep(Duration::from_millis(200)).await;
                }
                client.chronicle.say(client.scheduler.now(), "the second instance is deleted");
                client.chronicle.deleted(client.scheduler.now());
                client.open.fetch_sub(1, Ordering::Relaxed);
            }),
        );
    }

    /// One request; false when its answer did not come. Who asks again may be told that there is none: it was deleted.
    async fn is_deleted(&self) -> bool {
        let Some((tasks, gateway)) = self.somebody(|process| (process.tasks.clone(), process.gateway.clone())) else {
            return false;
        };
        let (tenant, id) = (self.instance.tenant.clone(), self.second.id);
        let caller = Principal { tenant, subject: "user".to_owned(), scopes: Scope::ALL.to_vec() };
        let (answer, answered) = oneshot::channel();
        tasks.spawn(Box::pin(async move {
            let _ = answer.send(gateway.instances.delete.execute(&caller, id).await);
        }));
        matches!(answered.await, Ok(Ok(()) | Err(DeleteInstanceError::UnknownInstance)))
    }

    /// Sends to many at some time before `end`, asking until it is told that it is accepted; and may take it back. One with a rate
    /// it may hold up for a while.
    pub fn broadcast(&self, end: Duration, rate: Option<u32>) {
        let client = self.clone();
        self.open.fetch_add(1, Ordering::Relaxed);
        self.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                client.scheduler.sleep(client.scheduler.between(Duration::ZERO, end / 2)).await;
                let id = loop {
                    match client.is_broadcast(rate).await {
                        Some(id) => break id,
                        None => client.scheduler.sleep(Duration::from_millis(200)).await,
                    }
                };
                client.chronicle.say(client.scheduler.now(), "a broadcast is accepted");
                if rate.is_some() && client.scheduler.chance(0.5) {
                    client.insist(id, BroadcastChange::Pause).await;
                    client.chronicle.say(client.scheduler.now(), "the broadcast is paused, or has ended");
                    // What was asked of a process that died has landed by then.
                    client.scheduler.sleep(weather::LATEST).await;
                    client.insist(id, BroadcastChange::Resume).await;
                    client.chronicle.say(client.scheduler.now(), "the broadcast goes on, or has ended");
                }
                if client.scheduler.chance(0.3) {
                    client.insist(id, BroadcastChange::Cancel).await;
                    client.chronicle.say(client.scheduler.now(), "the broadcast is cancelled, or has ended");
                }
                client.open.fetch_sub(1, Ordering::Relaxed);
            }),
        );
    }

    /// One request, always with the same key; none when its answer did not come.
    async fn is_broadcast(&self, rate_per_minute: Option<u32>) -> Option<BroadcastId> {
        let (tasks, gateway) = self.somebody(|process| (process.tasks.clone(), process.gateway.clone()))?;
        let name = InstanceName::parse(self.instance.channel_instance_id.clone()).unwrap();
        let command = SendBroadcastCommand {
            instance: Some((self.instance.channel.clone(), name)),
            to: To::Listed((0..RECIPIENTS).map(|number| BroadcastRecipient::new(format!("b{number}"))).collect()),
            draft: BroadcastDraft {
                group: None,
                content: Content { text: Some("Olá".to_owned()), ..Content::default() },
                is_template: true,
                max_tries: None,
                priority: None,
                rate_per_minute,
                send_at: None,
            },
            request: Some(IdempotentRequest::new(IdempotencyKey::parse(b"broadcast").unwrap(), [2; 32])),
        };
        let tenant = self.instance.tenant.clone();
        let caller = Principal { tenant, subject: "user".to_owned(), scopes: Scope::ALL.to_vec() };
        let (answer, answered) = oneshot::channel();
        tasks.spawn(Box::pin(async move {
            let _ = answer.send(gateway.broadcasts.send.execute(&caller, command).await);
        }));
        match answered.await {
            Ok(Ok(submission)) => Some(submission.standing.broadcast.id),
            Ok(Err(SendBroadcastError::Repository(_))) | Err(_) => None,
            Ok(Err(other)) => panic!("a client was told {other}"),
        }
    }

    /// Some seconds later, until it is told that it is so, or cannot be.
    async fn insist(&self, id: BroadcastId, change: BroadcastChange) {
        self.scheduler.sleep(self.scheduler.between(Duration::ZERO, Duration::from_secs(5))).await;
        while !self.is_changed(id, change).await {
            self.scheduler.sleep(Duration::from_millis(500)).await;
        }
    }

    /// One request; false when its answer did not come, or said to come again.
    async fn is_changed(&self, id: BroadcastId, change: BroadcastChange) -> bool {
        let Some((tasks, gateway)) = self.somebody(|process| (process.tasks.clone(), process.gateway.clone())) else {
            return false;
        };
        let tenant = self.instance.tenant.clone();
        let caller = Principal { tenant, subject: "user".to_owned(), scopes: Scope::ALL.to_vec() };
        let (answer, answered) = oneshot::channel();
        tasks.spawn(Box::pin(async move {
            let changed = gateway.broadcasts.change.execute(&caller, Some(id), change).await;
            let _ = answer.send(changed);
        }));
        matches!(answered.await, Ok(Ok(_) | Err(ChangeBroadcastError::Refused(_))))
    }

    /// Replays everything that has failed.
    pub fn replay(&self) {
        let Some((tasks, gateway)) = self.somebody(|process| (process.tasks.clone(), process.gateway.clone())) else {
            return;
        };
        let selection = FailedSelection { tenant: Some(self.instance.tenant.clone()), ..FailedSelection::default() };
        // An operator who is told an error looks at the rows, and may ask again.
        tasks.spawn(Box::pin(async move { _ = gateway.messages.replay.all(&selection).await }));
    }

    /// What somebody's maintenance does now and then.
    pub fn delete_history(&self) {
        let Some((tasks, gateway)) = self.somebody(|process| (process.tasks.clone(), process.gateway.clone())) else {
            return;
        };
        let never: Stop = pending().boxed().shared();
        // It comes again, whatever became of it.
        tasks.spawn(Box::pin(async move { _ = gateway.maintain_storage().round(&never).await }));
    }

    fn somebody<T>(&self, of: impl FnOnce(&SimProcess) -> T) -> Option<T> {
        let processes = self.processes.lock().unwrap();
        let index = (!processes.is_empty()).then(|| self.scheduler.draw(|rng| rng.usize(0..processes.len())))?;
        Some(of(&processes[index]))
    }
}
