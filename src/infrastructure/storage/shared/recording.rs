//! Recording how a try ended, in either database.

use super::{Batch, Batcher, OutcomeRow, RecordRequest};
use crate::application::ports::{Outcome, RepositoryError};
use crate::domain::message::MessageStatus;

/// `O` records an outcome whose guard holds; `L` finds that the claim was lost, and makes both good.
pub struct Recording<O: Batch, L: Batch> {
    outcomes: Batcher<O>,
    lost_claims: Batcher<L>,
}

impl<O: Batch, L: Batch> Clone for Recording<O, L> {
    fn clone(&self) -> Self {
        Self { outcomes: self.outcomes.clone(), lost_claims: self.lost_claims.clone() }
    }
}

impl<O, L> Recording<O, L>
where
    O: Batch<Request = RecordRequest, Answer = bool>,
    L: Batch<Request = RecordRequest, Answer = bool>,
{
    pub fn new((outcomes, lost_claims): (O, L)) -> Self {
        Self { outcomes: Batcher::new(outcomes), lost_claims: Batcher::new(lost_claims) }
    }

    /// False when neither guard holds.
    ///
    /// # Errors
    /// The database's error; never that it refuses the channel's text.
    pub async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError> {
        match self.write(outcome, OutcomeRow::of(outcome)).await {
            Err(RepositoryError::Refused(reason)) => {
                tracing::warn!(message.id = %outcome.guard.id, reason, "the outcome is recorded without the channel's text, which the database refuses");
                self.write(outcome, OutcomeRow::of(outcome).without_texts()).await
            }
            written => written,
        }
    }

    async fn write(&self, outcome: &Outcome, row: OutcomeRow) -> Result<bool, RepositoryError> {
        let request = || RecordRequest { guard: outcome.guard, started_at: outcome.started_at, row: row.clone() };
        if self.outcomes.submit(request()).await? {
            return Ok(true);
        }
        Ok(outcome.guard.status == MessageStatus::Processing && self.lost_claims.submit(request()).await?)
    }
}
