use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::application::ports::{CallTurns, RepositoryError};
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;

/// The turns of an installation that has one process. Copies share them.
#[derive(Clone, Default)]
pub struct ProcessCallTurns(Arc<Mutex<HashMap<InstanceId, Turn>>>);

#[derive(Default)]
struct Turn {
    taken_by: Option<MessageId>,
    wanted_by: Option<MessageId>,
}

impl ProcessCallTurns {
    fn turns(&self) -> MutexGuard<'_, HashMap<InstanceId, Turn>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl CallTurns for ProcessCallTurns {
    async fn take(&self, instance: InstanceId, message: MessageId, _: NodeId) -> Result<bool, RepositoryError> {
        let mut turns = self.turns();
        let turn = turns.entry(instance).or_default();
        let is_free = turn.taken_by.is_none_or(|taken_by| taken_by == message);
        if is_free && turn.wanted_by.is_none_or(|wanted_by| wanted_by == message) {
            *turn = Turn { taken_by: Some(message), wanted_by: None };
            return Ok(true);
        }
        // A wish holds for one refusal of another: whoever had it may have given up.
        turn.wanted_by = if is_free { None } else { turn.wanted_by.or(Some(message)) };
        Ok(false)
    }

    async fn give_back(&self, instance: InstanceId, message: MessageId) -> Result<(), RepositoryError> {
        let mut turns = self.turns();
        if let Some(turn) = turns.get_mut(&instance) {
            turn.taken_by = turn.taken_by.filter(|taken_by| *taken_by != message);
            turn.wanted_by = turn.wanted_by.filter(|wanted_by| *wanted_by != message);
            if turn.taken_by.is_none() && turn.wanted_by.is_none() {
                turns.remove(&instance);
            }
        }
        Ok(())
    }
}
