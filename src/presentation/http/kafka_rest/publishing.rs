//! Records on their way, as both versions publish them.

use std::time::{Duration, Instant};

use super::error::RestError;
use crate::application::ports::RepositoryError;
use crate::application::topics::{Confirmation, Publication, PublishRecordsError, RefusedFor};
use crate::domain::access::principal::Principal;
use crate::domain::topic::{RecordPosition, TopicName, TopicRecord};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// A record that is stored, and when.
pub struct Underway {
    publication: Publication,
    since: Instant,
}

/// Stores the records, and begins to publish them, in their order.
///
/// # Errors
/// When none is stored.
pub async fn publish(
    state: &SharedState,
    caller: &Principal,
    topic: &TopicName,
    records: Vec<TopicRecord>,
) -> Result<Vec<Result<Underway, RestError>>, RestError> {
    let (gateway, caller, topic) = (state.gateway.clone(), caller.clone(), topic.clone());
    let publishing = async move { gateway.topics.publish.execute(&caller, &topic, records).await };
    let begun = to_its_end(&state.tasks, publishing).await??;
    let since = Instant::now();
    let underway = begun.into_iter().map(|begun| match begun {
        Ok(publication) => Ok(Underway { publication, since }),
        Err(error) => Err(not_stored(&error)),
    });
    Ok(underway.collect())
}

fn not_stored(error: &RepositoryError) -> RestError {
    match error {
        RepositoryError::Refused(_) => RestError::new(422, "It holds something that cannot be stored."),
        error => {
            tracing::warn!(%error, "a record is not stored");
            RestError::new(50003, "The record could not be stored; try again.")
        }
    }
}

/// Where the record is.
///
/// # Errors
/// Why it is not there, or not known to be.
pub async fn confirmed(state: &SharedState, underway: Underway) -> Result<RecordPosition, RestError> {
    let Underway { publication, since } = underway;
    let id = publication.message_id;
    let left = state.topics.confirm_timeout.saturating_sub(since.elapsed()).max(Duration::from_millis(1));
    match state.gateway.topics.publish.confirmation(publication, left).await {
        Confirmation::Confirmed(position) => Ok(position),
        // Neither success nor failure: who sends it again doubles it.
        Confirmation::Unconfirmed { reason } => {
            let reason = reason.map(|reason| format!(" ({})", reason.trim_end_matches('.'))).unwrap_or_default();
            let kept = "The record is kept and will be published; Kafka has not confirmed it yet";
            Err(RestError::new(202, format!("{kept}{reason}. Do not send it again. Message {id}.")))
        }
        Confirmation::Failed { reason, refusal } => Err(match refusal {
            Some(RefusedFor::Size) => RestError::new(413, reason),
            Some(RefusedFor::Content) => RestError::new(40002, reason),
            None => RestError::new(50002, reason),
        }),
    }
}

impl From<PublishRecordsError> for RestError {
    fn from(error: PublishRecordsError) -> Self {
        match error {
            PublishRecordsError::NoBrokers => Self::no_kafka(),
            PublishRecordsError::Reserved => Self::new(40301, error.to_string()),
            PublishRecordsError::Instance(_) | PublishRecordsError::Repository(_) => {
                tracing::warn!(%error, "records are not stored");
                Self::new(50003, "The records could not be stored; try again.")
            }
        }
    }
}
