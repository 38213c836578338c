//! Mistakes that could be made, made on purpose: a simulation that does not find them finds nothing.

mod stores;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::gateway::Gateway;
use correio::application::node::watch_nodes::{Sightings, WatchNodes};
use correio::application::ports::*;
use correio::application::recovery::give_back_forgotten::{COMPARISON_INTERVAL, GiveBackForgotten};
use correio::application::recovery::pay_dead_letters::PayDeadLetters;
use correio::application::service::{Repeating, Service};
use correio::domain::Timestamp;
use correio::domain::message::{Guard, Message, MessageId};
use correio::domain::node::NodeId;
use futures::future::{Either, select};

use self::watch::OneClock;
use crate::support::memory::Bug;

pub use self::stores::InStores;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A condition that the tables leave out.
    InTables(Bug),
    /// The comparison looks at the memory first, and at the rows after it.
    MemoryBeforeRows,
    /// Nobody compares.
    NoComparison,
    /// Nobody sweeps receipts that were kept and not applied.
    NobodySweeps,
    /// Nobody fails what is open of deleted instances.
    NobodyEmpties,
    /// A record counts as finished as soon as it has been read.
    OffsetBeforeOutcome,
    /// The comparison takes it that nobody was called.
    NothingIsSpent,
    /// The comparison takes it that somebody may have been called.
    EverythingIsSpent,
    /// Who publishes nothing takes it that nobody does, and that the rows are the dead letters.
    WritesOffAtOnce,
    /// A heartbeat stands still since the look was asked that read it first; and a name is good until others may find it gone.
    StillSinceTheAsking,
    /// A heartbeat stands still until the look was answered that read it last; and the same.
    StillUntilTheAnswer,
    /// Nothing but that a name is good until others may find it gone: what the two above have beside their clocks.
    NamesWithoutMargin,
    /// Something else is asked of the tables.
    InStores(InStores),
    /// A try that panics is forgotten.
    PanicsForgetTries,
}

impl Planted {
    /// Whether names are good for as long as others wait. That they are lost a second sooner makes up for short looks.
    pub fn is_without_margin(self) -> bool {
        matches!(self, Planted::StillSinceTheAsking | Planted::StillUntilTheAnswer | Planted::NamesWithoutMargin)
    }
}

/// The stores of a process, with the mistake in its place.
pub fn stores(planted: Option<Planted>, stores: Stores) -> Stores {
    match planted {
        Some(Planted::InStores(mistake)) => mistake.plant(stores),
        _ => stores,
    }
}

/// The services of a process, with the mistake in its place.
pub fn services(planted: Option<Planted>, gateway: &Gateway, nodes: Arc<dyn NodeRepository>) -> Vec<Box<dyn Service>> {
    let mut services = gateway.services();
    let mut replace = |name: &str, by: Option<Box<dyn Service>>| {
        let index = services.iter().position(|service| service.name() == name).expect(name);
        services.remove(index);
        services.extend(by);
    };
    match planted {
        Some(Planted::NoComparison) => replace("comparison", None),
        Some(Planted::NobodySweeps) => replace("receipts", None),
        Some(Planted::NobodyEmpties) => replace("deleted instances", None),
        Some(Planted::MemoryBeforeRows) => {
            replace("comparison", Some(Box::new(CompareMemoryFirst(gateway.give_back_forgotten()))));
        }
        Some(Planted::NothingIsSpent | Planted::EverythingIsSpent) => {
            let compare = gateway.give_back_forgotten();
            let (is_spent, clock) = (planted == Some(Planted::EverythingIsSpent), compare.clock.clone());
            let due = Arc::new(SpendsAlike { due: compare.due.clone(), is_spent });
            replace("comparison", Some(Box::new(Repeating::new(GiveBackForgotten { due, ..compare }, clock))));
        }
        Some(Planted::StillSinceTheAsking | Planted::StillUntilTheAnswer) => {
            let (clock, sightings) = (gateway.give_back_forgotten().clock, gateway.node.sightings.clone());
            let is_answer = planted == Some(Planted::StillUntilTheAnswer);
            let watch = OneClock::new(nodes, clock.clone(), sightings, is_answer);
            replace("node watch", Some(Box::new(Repeating::new(watch, clock))));
        }
        Some(Planted::WritesOffAtOnce) => {
            let pay = gateway.pay_dead_letters();
            let (clock, timeout) = (pay.clock.clone(), pay.identity.timeout());
            let sightings = Sightings::new(clock.clone(), timeout);
            let blind = WatchNodes::new(Arc::new(NoNodes(nodes)), clock.clone(), sightings.clone());
            let pay = PayDeadLetters { sightings, ..pay };
            replace("dead letters", Some(Box::new(Repeating::new(pay, clock.clone()))));
            services.push(Box::new(Repeating::new(blind, clock)));
        }
        _ => {}
    }
    services
}

/// What [`GiveBackForgotten`] does, in the wrong order.
struct CompareMemoryFirst(GiveBackForgotten);

#[async_trait]
impl Service for CompareMemoryFirst {
    fn name(&self) -> &'static str {
        "comparison"
    }

    async fn run(self: Box<Self>, stop: Stop) {
        let GiveBackForgotten { due, identity, held, answered, clock } = self.0;
        loop {
            if let Some(node) = identity.current() {
                let held = held.all();
                if let Ok(rows) = due.in_delivery(&[node]).await {
                    let forgotten: Vec<_> = rows
                        .into_iter()
                        .filter(|row| !held.contains(&row.id))
                        .map(|guard| Forgotten { guard, is_spent: answered.knows(&guard) })
                        .collect();
                    let _ = due.give_back(&forgotten, clock.now()).await;
                }
            }
            if let Either::Left(_) = select(stop.clone(), clock.sleep(COMPARISON_INTERVAL)).await {
                return;
            }
        }
    }
}

/// Gives back every try as spent, or none.
struct SpendsAlike {
    due: Arc<dyn DueMessages>,
    is_spent: bool,
}

#[async_trait]
impl DueMessages for SpendsAlike {
    async fn take(&self, take: &Take) -> Result<Vec<Message>, RepositoryError> {
        self.due.take(take).await
    }

    async fn take_in_turns(&self, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
        self.due.take_in_turns(turns).await
    }

    async fn in_delivery(&self, nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError> {
        self.due.in_delivery(nodes).await
    }

    async fn give_back(&self, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError> {
        let alike = |one: &Forgotten| Forgotten { is_spent: self.is_spent, ..*one };
        self.due.give_back(&forgotten.iter().map(alike).collect::<Vec<_>>(), now).await
    }

    async fn make_due(&self, messages: &[(MessageId, NodeId)], now: Timestamp) -> Result<u64, RepositoryError> {
        self.due.make_due(messages, now).await
    }

    async fn retime(&self, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
        self.due.retime(retiming).await
    }

    async fn recall(&self, recall: &Recall) -> Result<Retimed, RepositoryError> {
        self.due.recall(recall).await
    }

    async fn call_in(&self, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        self.due.call_in(now, limit).await
    }
}

/// Nodes, of which none is to be seen.
struct NoNodes(Arc<dyn NodeRepository>);

#[async_trait]
impl NodeRepository for NoNodes {
    async fn register(
        &self,
        node: NodeId,
        process: NodeId,
        duties: Duties,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        self.0.register(node, process, duties, now).await
    }

    async fn beat(&self, node: NodeId) -> Result<bool, RepositoryError> {
        self.0.beat(node).await
    }

    async fn all(&self) -> Result<Vec<NodeRow>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn leave(&self, node: NodeId, queued_are_kept: bool, now: Timestamp) -> Result<bool, RepositoryError> {
        self.0.leave(node, queued_are_kept, now).await
    }

    async fn forget(&self, nodes: &[NodeId]) -> Result<u64, RepositoryError> {
        self.0.forget(nodes).await
    }

    async fn forget_dead(&self, alive: NodeId) -> Result<(), RepositoryError> {
        self.0.forget_dead(alive).await
    }
}

/// A source that says of each record that it is finished, as soon as it hands it out.
pub struct HastySource<S>(pub Arc<S>);

#[async_trait]
impl<S: MessageSource> MessageSource for HastySource<S> {
    async fn next(&self) -> Arrival {
        let arrival = self.0.next().await;
        if let Arrival::Record(record) = &arrival {
            self.0.finished(record.partition, record.offset);
        }
        arrival
    }

    fn pause(&self, partition: Partition) {
        self.0.pause(partition);
    }

    fn resume(&self, partition: Partition) {
        self.0.resume(partition);
    }

    fn finished(&self, partition: Partition, offset: i64) {
        self.0.finished(partition, offset);
    }

    fn has_joined(&self) -> bool {
        self.0.has_joined()
    }

    fn kept_out(&self) -> Option<KeptOut> {
        self.0.kept_out()
    }

    fn close(&self) {
        self.0.close();
    }
}
