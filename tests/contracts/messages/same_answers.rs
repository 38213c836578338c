//! Whatever is asked, in whatever order, every set of adapters answers as the one in memory does: a simulation on that one
//! speaks for the others.

use std::time::Duration;

use correio::application::ports::{
    Duties, FailedSelection, Forgotten, MessageFilter, Outcome, Position, Purposes, RepositoryError, SearchError, Take,
    Turns,
};
use correio::domain::Timestamp;
use correio::domain::instance::Instance;
use correio::domain::message::deferral::Deferral;
use correio::domain::message::delivery::{DeliveryError, FailureKind};
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, instance, message_of, request, sent, tenant};
use crate::support::memory::MemoryDatabase;

on_every_adapter![whatever_is_asked_the_answers_are_those_of_memory];

const QUESTIONS: u64 = 1_000;

/// splitmix64: the same on every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()].clone()
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        of.iter().filter(|_| self.below(4) == 0).cloned().collect()
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }
}

/// What the questions are about.
struct World {
    chance: Chance,
    nodes: Vec<NodeId>,
    instances: Vec<Instance>,
    /// Of them all, and what some of them looked like at some time.
    ids: Vec<MessageId>,
    guards: Vec<Guard>,
    seconds: i64,
}

async fn whatever_is_asked_the_answers_are_those_of_memory(adapters: &Adapters) {
    let memory = MemoryDatabase::default().adapters();
    let mut world = World {
        chance: Chance(5),
        nodes: (1..5).map(|number| NodeId(Uuid::from_u128(number))).collect(),
        instances: ["a", "b", "c"].map(|name| instance(["acme", "globex"][usize::from(name == "c")], name)).to_vec(),
        ids: Vec::new(),
        guards: Vec::new(),
        seconds: 0,
    };
    for number in 0..QUESTIONS {
        let question = world.question(number);
        let (answer, expected) = (question.ask(adapters).await, question.ask(&memory).await);
        assert_eq!(answer, expected, "{number}: {question:?}");
        world.learn(&memory).await;
    }
    for id in &world.ids {
        let (now, expected) = (everything_of(adapters, *id).await, everything_of(&memory, *id).await);
        assert_eq!(now, expected);
    }
}

async fn everything_of(adapters: &Adapters, id: MessageId) -> String {
    let Some(message) = adapters.messages.find(id).await.unwrap() else { return String::new() };
    format!("{:?}", adapters.search.find(&message.tenant, id).await.unwrap())
}

#[derive(Debug)]
enum Request {
    Accept(Box<Message>, Option<&'static str>),
    Claim(MessageId, NodeId),
    TakeAlong(Guard, NodeId),
    Record(Outcome),
    Take(Take),
    TakeInTurns(Turns),
    InDelivery(Vec<NodeId>),
    GiveBack(Vec<Forgotten>),
    Defer(Deferral),
    MakeDue(Vec<(MessageId, NodeId)>),
    Replay(MessageId, &'static str),
    ReplayMatching(FailedSelection, Option<MessageId>, u32),
    Owed { node: NodeId, adopting: Option<Vec<NodeId>>, held: Vec<MessageId> },
    Settle(MessageId, u32),
    SettleWithoutRecord(Vec<NodeId>),
    Register(NodeId, NodeId),
    Leave(NodeId, bool),
    Forget(Vec<NodeId>),
    ForgetDead(NodeId),
    Configure(Instance),
    Delete(Instance, Option<Timestamp>),
    Maintain,
    Look(MessageFilter, Option<MessageId>),
}

/// A question, and when it is asked.
#[derive(Debug)]
struct Asked(Request, Timestamp);

impl World {
    fn question(&mut self, number: u64) -> Asked {
        self.seconds += i64::try_from(self.chance.below(3)).unwrap();
        let now = at(self.seconds);
        let chance = &mut self.chance;
        if self.ids.is_empty() || self.guards.is_empty() {
            return Asked(self.accept(number), now);
        }
        let (id, node, guard) = (chance.one(&self.ids), chance.one(&self.nodes), chance.one(&self.guards));
        let latest = self.guards[self.guards.len() - 1];
        let question = match chance.below(30) {
            0..5 => self.accept(number),
            5..9 => Request::Claim(chance.one(&[id, latest.id]), node),
            9 => Request::TakeAlong(guard, node),
            10..14 => Request::Record(self.outcome(latest)),
            14 if chance.yes() => Request::Record(self.outcome(guard)),
            14 => Request::Record(self.outcome(Guard { try_number: latest.try_number.saturating_sub(1), ..latest })),
            15 if chance.yes() => Request::TakeInTurns(self.turns()),
            15..18 => Request::Take(self.take()),
            18 => Request::InDelivery(chance.some(&self.nodes)),
            19 if chance.yes() => {
                // Each once: of two in one statement, either may be the one that counts.
                let mut some = chance.some(&self.guards);
                some.sort_by_key(|guard| guard.id);
                some.dedup_by_key(|guard| guard.id);
                Request::GiveBack(some.into_iter().map(|guard| Forgotten { guard, is_spent: chance.yes() }).collect())
            }
            19 => Request::Defer(Self::deferral(chance, id, now)),
            20 => {
                let some = chance.some(&self.ids);
                Request::MakeDue(some.into_iter().map(|id| (id, chance.one(&self.nodes))).collect())
            }
            21 if chance.yes() => Request::Replay(id, chance.one(&["acme", "globex"])),
            21 => {
                let after = chance.yes().then_some(id);
                Request::ReplayMatching(self.selection(), after, 3)
            }
            22 => Request::Owed {
                node,
                adopting: chance.yes().then(|| chance.some(&self.nodes)),
                held: chance.some(&self.ids),
            },
            23 if chance.yes() => Request::Settle(guard.id, guard.try_number),
            // Most often nobody else publishes.
            23 if chance.below(4) > 0 => Request::SettleWithoutRecord(self.nodes.clone()),
            23 => Request::SettleWithoutRecord(chance.some(&self.nodes)),
            24 => Request::Register(node, chance.one(&self.nodes)),
            25 => Request::Leave(node, chance.yes()),
            26 if chance.below(4) > 0 => Request::Forget(chance.some(&self.nodes)),
            26 => Request::ForgetDead(node),
            27 => Request::Configure(chance.one(&self.instances)),
            28 if chance.below(4) > 0 => Request::Maintain,
            28 => Request::Delete(chance.one(&self.instances), chance.yes().then_some(now)),
            29 if chance.yes() => Request::Look(self.filter(), Some(id)),
            _ => Request::Look(self.filter(), None),
        };
        Asked(question, now)
    }

    fn deferral(chance: &mut Chance, id: MessageId, now: Timestamp) -> Deferral {
        let not_before = chance.yes().then(|| now + Duration::from_secs(chance.below(20)));
        let pause = chance.yes().then(|| Duration::from_secs(chance.below(60)));
        let (is_undeliverable, is_paced) = (chance.yes(), chance.yes());
        let pause = if is_paced { pause.map(|pause| pause * 40) } else { pause };
        Deferral { id, pause, is_paced, not_before, reason: "too many at once".to_owned(), is_undeliverable, now }
    }

    fn accept(&mut self, number: u64) -> Request {
        let instance = self.chance.one(&self.instances);
        let status = self.chance.one(&[MessageStatus::Pending, MessageStatus::Queued, MessageStatus::Queued]);
        let owner = self.chance.one(&self.nodes);
        let now = at(self.seconds);
        // The number makes it greater than those before it, in the same millisecond too.
        let time = u128::from(now.timestamp_millis().cast_unsigned()) << 80;
        let id = MessageId(Uuid::from_u128(time | (7 << 76) | (2 << 62) | u128::from(number)));
        let message = message_of(&instance, status, owner);
        let node = message.node.filter(|_| self.chance.below(8) > 0);
        self.ids.push(id);
        let message = Message { id, node, created_at: now, updated_at: now, ..message };
        Request::Accept(Box::new(message), self.chance.one(&[None, None, Some("one"), Some("other")]))
    }

    fn outcome(&mut self, guard: Guard) -> Outcome {
        let (started_at, finished_at) = (at(self.seconds), at(self.seconds + 1));
        let soon = at(self.seconds + i64::try_from(self.chance.below(6)).unwrap());
        let failure = self.chance.one(&[FailureKind::Recipient, FailureKind::Channel]);
        let next = self.chance.one(&[
            sent(),
            NextStep::Retry { at: soon, error: DeliveryError::transient("away") },
            NextStep::Failed { failure, error: DeliveryError::refused("no such number").with_http_status(422) },
            NextStep::PutOff { at: soon, error: DeliveryError::not_now("not here", Duration::MAX) },
            NextStep::PutOff { at: soon, error: DeliveryError::no_place("too many at once", Duration::MAX) },
        ]);
        let dead_lettered_at = self.chance.yes().then_some(finished_at);
        Outcome { guard, next, started_at, finished_at, dead_lettered_at, has_receipts: true }
    }

    fn turns(&mut self) -> Turns {
        let chance = &mut self.chance;
        Turns {
            node: chance.one(&self.nodes),
            after: chance.yes().then(|| chance.one(&self.instances).id),
            held: chance.some(&self.ids),
            with_content: chance.yes(),
            limit: u32::try_from(1 + chance.below(5)).unwrap(),
            full: if chance.yes() { vec![chance.one(&self.instances).id] } else { vec![] },
            now: at(self.seconds),
        }
    }

    fn take(&mut self) -> Take {
        let chance = &mut self.chance;
        Take {
            node: chance.one(&self.nodes),
            gone: if chance.yes() { chance.some(&self.nodes) } else { vec![] },
            succeeded: chance.some(&self.nodes),
            departed: chance.some(&self.nodes),
            unconsumed: chance.below(6) == 0,
            lost_before: chance.yes().then(|| at(self.seconds - i64::try_from(chance.below(30)).unwrap())),
            held: chance.some(&self.ids),
            with_content: chance.yes(),
            limit: u32::try_from(chance.below(6)).unwrap(),
            full: chance.some(&self.instances).into_iter().map(|instance| instance.id).collect(),
            limit_of_full: u32::try_from(chance.below(6)).unwrap(),
            now: at(self.seconds),
        }
    }

    fn selection(&mut self) -> FailedSelection {
        FailedSelection {
            purposes: Purposes::Own,
            tenant: self.chance.one(&[None, Some(tenant("acme"))]),
            channel_instance_id: self.chance.one(&[None, Some("a".to_owned())]),
            created_after: self.chance.one(&[None, Some(at(self.seconds / 2))]),
            created_before: self.chance.one(&[None, Some(at(self.seconds / 2))]),
        }
    }

    fn filter(&mut self) -> MessageFilter {
        let FailedSelection { channel_instance_id, created_after, created_before, .. } = self.selection();
        let status = self.chance.one(&[None, Some(MessageStatus::Queued), Some(MessageStatus::Failed)]);
        MessageFilter { status, channel_instance_id, created_after, created_before, ..MessageFilter::default() }
    }

    /// Keeps what one of the messages looks like now, for questions that come too late and for some that do not.
    async fn learn(&mut self, memory: &Adapters) {
        let recent = self.ids.len().saturating_sub(12);
        let id = self.chance.one(&self.ids[recent..]);
        if let Some(message) = memory.messages.find(id).await.unwrap() {
            self.guards.push(message.guard());
        }
    }
}

impl Asked {
    /// The answer, whatever it is, as text.
    async fn ask(&self, adapters: &Adapters) -> String {
        self.answer(adapters).await.unwrap_or_else(|error| match error {
            RepositoryError::Conflict => "conflict".to_owned(),
            other => panic!("{other}: {self:?}"),
        })
    }

    async fn answer(&self, adapters: &Adapters) -> Result<String, RepositoryError> {
        let Asked(question, now) = self;
        let now = *now;
        Ok(match question {
            Request::Accept(message, key) => {
                let request = key.map(|key| request(key, 1));
                format!("{:?}", adapters.messages.accept(message, request.as_ref()).await?)
            }
            Request::Claim(id, node) => format!("{:?}", adapters.messages.claim(*id, *node, now).await?),
            Request::TakeAlong(guard, node) => format!("{:?}", adapters.messages.take_along(guard, *node, now).await?),
            Request::Record(outcome) => format!("{:?}", adapters.messages.record(outcome).await?),
            Request::Take(take) => format!("{:?}", adapters.due.take(take).await?),
            Request::TakeInTurns(turns) => format!("{:?}", adapters.due.take_in_turns(turns).await?),
            Request::InDelivery(nodes) => format!("{:?}", adapters.due.in_delivery(nodes).await?),
            Request::GiveBack(forgotten) => format!("{:?}", adapters.due.give_back(forgotten, now).await?),
            Request::Defer(deferral) => format!("{:?}", adapters.messages.defer(deferral).await?),
            Request::MakeDue(pairs) => format!("{:?}", adapters.due.make_due(pairs, now).await?),
            Request::Replay(id, name) => format!("{:?}", adapters.failed.replay(&tenant(name), *id, now).await?),
            Request::ReplayMatching(selection, after, limit) => {
                format!("{:?}", adapters.failed.replay_matching(selection, *after, *limit, now).await?)
            }
            Request::Owed { node, adopting, held } => {
                format!("{:?}", adapters.owed_dead_letters.owed(*node, adopting.as_deref(), held, 3).await?)
            }
            Request::Settle(id, number) => {
                format!("{:?}", adapters.owed_dead_letters.mark_paid(*id, *number, now).await?)
            }
            Request::SettleWithoutRecord(gone) => {
                format!("{:?}", adapters.owed_dead_letters.write_off(gone, 2, now).await?)
            }
            Request::Register(node, process) => {
                let duties = Duties { publishes: true, consumes: true };
                adapters.nodes.register(*node, *process, duties, now).await?;
                format!("{:?}", adapters.nodes.beat(*node).await?)
            }
            Request::Leave(node, kept) => format!("{:?}", adapters.nodes.leave(*node, *kept, now).await?),
            Request::Forget(nodes) => {
                adapters.nodes.forget(nodes).await?;
                format!("{:?}", adapters.nodes.all().await?)
            }
            Request::ForgetDead(node) => {
                adapters.nodes.forget_dead(*node).await?;
                format!("{:?}", adapters.nodes.all().await?)
            }
            Request::Configure(instance) => {
                adapters.instances.insert(instance).await?;
                format!("{:?}", adapters.instances.list(&instance.tenant, None).await.map_err(unsearched)?)
            }
            Request::Delete(instance, dead_lettered_at) => {
                let is_deleted = adapters.instances.delete(&instance.tenant, instance.id, now).await?;
                let failed = if is_deleted { emptied(adapters, instance, *dead_lettered_at, now).await? } else { 0 };
                format!("{is_deleted} {failed} {:?}", adapters.deleted_instances.list(10).await?)
            }
            Request::Maintain => {
                // So late that some keys have expired.
                let key = request("one", 1).key;
                let later = now + chrono::Duration::hours(24) - chrono::Duration::seconds(20);
                while adapters.storage.delete_expired_keys(later).await? {}
                format!("{:?}", adapters.messages.kept_request(&tenant("acme"), &key, now).await?)
            }
            Request::Look(filter, before) => {
                let listed = adapters.search.list(&tenant("acme"), filter, *before, 5).await.map_err(unsearched)?;
                let counts = adapters.search.count(&tenant("acme"), filter).await.map_err(unsearched)?;
                let mut counts: Vec<_> = counts.into_iter().collect();
                counts.sort_by_key(|(status, _)| status.as_str());
                format!("{listed:?} {counts:?} {:?}", adapters.search.count_open(None).await?)
            }
        })
    }
}

/// Fails what is open of it; returns how many failed.
async fn emptied(
    adapters: &Adapters,
    instance: &Instance,
    dead_lettered_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<u64, RepositoryError> {
    let (instances, mut place, mut open) = ([instance.id], Some(Position::default()), Vec::new());
    while let Some(after) = place {
        let looked = adapters.deleted_instances.open_messages(&instances, &after, 7).await?;
        open.extend(looked.found.into_iter().map(|(_, message)| message));
        place = looked.next;
    }
    adapters.deleted_instances.fail(&instances, &open, "deleted", dead_lettered_at, now).await
}

fn unsearched(error: SearchError) -> RepositoryError {
    match error {
        SearchError::Repository(error) => error,
        error => RepositoryError::Contested(error.to_string()),
    }
}
