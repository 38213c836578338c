use std::sync::Arc;

use super::shape_message::{ShapeError, ShapeMessage};
use crate::application::ports::{RepositoryError, SubscriptionRepository};
use crate::domain::access::principal::Principal;
use crate::domain::event::Event;
use crate::domain::message::Message;
use crate::domain::subscription::SubscriptionId;

/// Shows what a subscription would send for an event. Nothing is stored.
pub struct TrySubscription {
    pub subscriptions: Arc<dyn SubscriptionRepository>,
    pub shape: ShapeMessage,
}

pub struct Trial {
    pub is_for_type: bool,
    /// None: the event is not of its types, or the filter fails.
    pub holds: Option<bool>,
    pub message: Option<Message>,
    /// Why there is none although the filter holds, or why that fails.
    pub problem: Option<String>,
}

impl TrySubscription {
    /// None: there is no such subscription; also another tenant's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn execute(
        &self,
        caller: &Principal,
        id: SubscriptionId,
        event: &Event,
    ) -> Result<Option<Trial>, RepositoryError> {
        let Some(subscription) = self.subscriptions.find(&caller.tenant, id).await? else { return Ok(None) };
        let mut trial =
            Trial { is_for_type: subscription.is_for(&event.kind), holds: None, message: None, problem: None };
        if !trial.is_for_type {
            return Ok(Some(trial));
        }
        let tried = async {
            let holds = self.shape.holds(&subscription, event).await?;
            trial.holds = Some(holds);
            trial.message = if holds { Some(self.shape.message(&subscription, event).await?) } else { None };
            Ok(())
        };
        match tried.await {
            Ok(()) => {}
            Err(ShapeError::Unfit(sentence)) => trial.problem = Some(sentence),
            Err(ShapeError::Repository(error)) => return Err(error),
        }
        Ok(Some(trial))
    }
}
