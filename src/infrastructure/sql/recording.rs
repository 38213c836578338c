//! Recording how a try ended, in either database.

use super::{Batch, Ending, Gathering, OutcomeRow};
use crate::application::ports::{Outcome, RepositoryError};
use crate::domain::message::MessageStatus;

/// `O` records what its guard holds for; `L` finds that the claim was lost, and makes both good.
pub struct Recording<O: Batch, L: Batch> {
    outcomes: Gathering<O>,
    lost_claims: Gathering<L>,
}

impl<O: Batch, L: Batch> Clone for Recording<O, L> {
    fn clone(&self) -> Self {
        Self { outcomes: self.outcomes.clone(), lost_claims: self.lost_claims.clone() }
    }
}

impl<O, L> Recording<O, L>
where
    O: Batch<Question = Ending, Answer = bool>,
    L: Batch<Question = Ending, Answer = bool>,
{
    pub fn new((outcomes, lost_claims): (O, L)) -> Self {
        Self { outcomes: Gathering::new(outcomes), lost_claims: Gathering::new(lost_claims) }
    }

    /// False when neither guard holds.
    ///
    /// # Errors
    /// What the database says; never that it refuses the channel's words.
    pub async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        match self.write(outcome, OutcomeRow::of(outcome)).await {
            Err(RepositoryError::Refused(reason)) => {
                tracing::warn!(message.id = %outcome.guard.id, reason, "recorded without the channel's words");
                self.write(outcome, OutcomeRow::of(outcome).without_texts()).await
            }
            written => written,
        }
    }

    async fn write(&self, outcome: &Outcome, row: OutcomeRow) -> Result<bool, RepositoryError> {
        let ending = || Ending { outcome: outcome.clone(), row: row.clone() };
        if self.outcomes.ask(ending()).await? {
            return Ok(true);
        }
        Ok(outcome.guard.status == MessageStatus::Processing && self.lost_claims.ask(ending()).await?)
    }
}
