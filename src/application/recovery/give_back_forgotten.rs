use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::warn;

use crate::application::Stop;
use crate::application::node::answered_claims::AnsweredClaims;
use crate::application::node::held_messages::HeldMessages;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::ports::{Clock, DueMessages, Forgotten, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::message::{Guard, MessageStatus};

/// The comparison: finds messages that this process delivers according to their rows, and in fact does not. A task that
/// panicked left them, or the answer to a claim was lost.
pub struct GiveBackForgotten {
    pub due: Arc<dyn DueMessages>,
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub answered: AnsweredClaims,
    pub clock: Arc<dyn Clock>,
}

/// How often the rows are compared with what is held.
pub const COMPARISON_INTERVAL: Duration = Duration::from_secs(5);

impl GiveBackForgotten {
    /// # Errors
    /// When the database does not answer; what is forgotten is found the next time.
    pub async fn compare(&self) -> Result<(), RepositoryError> {
        // What a former name owned is taken by a node that sees the name gone.
        let Some(node) = self.identity.current() else { return Ok(()) };
        // The rows first, the memory after them: the other order gives back what was accepted in between.
        let rows = self.due.in_delivery(&[node]).await?;
        let forgotten: Vec<Forgotten> =
            rows.into_iter().filter(|row| !self.held.holds(row.id)).map(|guard| self.forgotten(guard)).collect();
        if forgotten.is_empty() {
            return Ok(());
        }
        let given_back = self.due.give_back(&forgotten, self.clock.now()).await?;
        forgotten.iter().for_each(|one| self.answered.forget(&one.guard));
        // Most often their outcome landed between the two looks.
        if given_back > 0 {
            warn!(messages = given_back, "given back: this process was no longer delivering them");
        }
        Ok(())
    }

    /// A `pending` message is called without a claim.
    fn forgotten(&self, guard: Guard) -> Forgotten {
        Forgotten { guard, is_spent: guard.status != MessageStatus::Processing || self.answered.knows(&guard) }
    }
}

#[async_trait]
impl Repeated for GiveBackForgotten {
    fn name(&self) -> &'static str {
        "comparison"
    }

    fn purpose(&self) -> &'static str {
        "compare the rows that this process delivers with what it holds"
    }

    fn interval(&self) -> Duration {
        COMPARISON_INTERVAL
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        self.compare().await
    }
}
