use async_trait::async_trait;
use correio::application::ports::{OwedDeadLetters, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;

use super::database::MemoryDatabase;
use super::tables::{Bug, Node, Tables, fitting};

#[derive(Clone)]
pub struct MemoryOwedDeadLetters {
    database: MemoryDatabase,
}

impl MemoryOwedDeadLetters {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl OwedDeadLetters for MemoryOwedDeadLetters {
    async fn owed(
        &self,
        node: NodeId,
        adopting: Option<&[NodeId]>,
        held: &[MessageId],
        limit: u32,
    ) -> Result<Vec<Message>, RepositoryError> {
        // What no node is named for is nobody's too.
        let (adopting, held) = (adopting.map(<[NodeId]>::to_vec), held.to_vec());
        let is_nobodys = move |owner: Option<NodeId>| {
            adopting.as_ref().is_some_and(|nodes| owner.is_none_or(|owner| !nodes.contains(&owner)))
        };
        let is_asked_for = move |message: &&Message| {
            owes(message) && (message.node == Some(node) || is_nobodys(message.node)) && !held.contains(&message.id)
        };
        let owed = move |tables: &mut Tables| {
            fitting(tables.messages.values().filter(is_asked_for).take(limit as usize)).cloned().collect()
        };
        self.database.run("owed_dead_letters.owed", move |tables| Ok(owed(tables))).await
    }

    async fn mark_paid(&self, id: MessageId, try_number: u32, now: Timestamp) -> Result<bool, RepositoryError> {
        // Guarded on the try: replayed and failed again, it owes another record. `updated_at` stays when it failed.
        let pay = move |tables: &mut Tables| {
            let is_any = tables.has(Bug::MarksIgnoreTry);
            let is_its = |it: &Message| is_any || it.try_number == try_number;
            let is_owed = tables.messages.get(&id).is_some_and(|it| owes(it) && is_its(it));
            if is_owed {
                tables.pay(id, true, now);
            }
            is_owed
        };
        self.database.run("owed_dead_letters.mark_paid", move |tables| Ok(pay(tables))).await
    }

    async fn write_off(&self, gone: &[NodeId], limit: u32, now: Timestamp) -> Result<u64, RepositoryError> {
        let gone = gone.to_vec();
        let pay = move |tables: &mut Tables| {
            let publishes =
                |(id, node): (&NodeId, &Node)| node.duties.publishes && node.left_at.is_none() && !gone.contains(id);
            if tables.nodes.iter().any(publishes) && !tables.has(Bug::WritesOffWhoeverPublishes) {
                return 0;
            }
            let owed = tables.messages.values().filter(|it| owes(it)).take(limit as usize);
            let owed: Vec<MessageId> = owed.map(|message| message.id).collect();
            for id in &owed {
                tables.pay(*id, false, now);
            }
            owed.len() as u64
        };
        self.database.run("owed_dead_letters.write_off", move |tables| Ok(pay(tables))).await
    }

    async fn count(&self, most: u32) -> Result<u64, RepositoryError> {
        let count =
            move |tables: &mut Tables| tables.messages.values().filter(|it| owes(it)).take(most as usize).count();
        self.database.run_now("owed_dead_letters.count", move |tables| Ok(count(tables) as u64)).await
    }
}

fn owes(message: &Message) -> bool {
    message.status == MessageStatus::Failed && message.dead_lettered_at.is_none()
}
