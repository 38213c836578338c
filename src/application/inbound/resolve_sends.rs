use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tracing::{error, info};

use crate::application::Stop;
use crate::application::ports::{ReportedSends, RepositoryError};
use crate::application::receipts::ReceiveReceipts;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::receipt::{ChannelMessage, ReportedSend, UnknownFailure};

/// Finds the messages whose answers were lost among what their provider reports as sent, where it has not taken our name for them:
/// by recipient, text and time.
#[derive(Clone)]
pub struct ResolveSends {
    pub sends: Arc<dyn ReportedSends>,
    pub receipts: ReceiveReceipts,
}

/// Those that are read in one go.
const PORTION: u32 = 500;

/// Instances at the same time. Those of one instance are one after the other: two may be of the same text to the same recipient.
const INSTANCES_AT_ONCE: usize = 4;

/// Of one instance, those that were sent within this time share a question for what has failed.
const TOGETHER: TimeDelta = TimeDelta::minutes(30);

impl ResolveSends {
    /// What was kept before this moment: every try that was under way then has ended.
    ///
    /// # Errors
    /// When the database does not answer: the next round goes on. What it refuses of one concerns that one alone.
    pub async fn resolve(&self, before: Timestamp, stop: &Stop) -> Result<(), RepositoryError> {
        let mut last: Option<ChannelMessage> = None;
        loop {
            let due = self.sends.due(before, PORTION).await?;
            // All is settled, or something is not forgotten that should be.
            let first = due.first().map(|sent| sent.of.clone());
            if first == last || stop.clone().now_or_never().is_some() {
                return Ok(());
            }
            last = first;
            let mut of_instances: BTreeMap<InstanceId, Vec<ReportedSend>> = BTreeMap::new();
            for sent in due {
                of_instances.entry(sent.of.instance).or_default().push(sent);
            }
            let resolving = of_instances.into_iter().map(|(instance, sends)| self.resolve_of(instance, sends));
            let resolving: Vec<_> = resolving.collect();
            stream::iter(resolving).buffer_unordered(INSTANCES_AT_ONCE).try_collect::<()>().await?;
        }
    }

    async fn resolve_of(&self, instance: InstanceId, mut sends: Vec<ReportedSend>) -> Result<(), RepositoryError> {
        sends.sort_by_key(|sent| sent.at);
        let mut rest = &sends[..];
        while let Some(first) = rest.first() {
            let until = first.at.checked_add_signed(TOGETHER).unwrap_or(first.at);
            let (together, later) = rest.split_at(rest.partition_point(|sent| sent.at <= until));
            self.resolve_together(instance, together).await?;
            rest = later;
        }
        Ok(())
    }

    async fn resolve_together(&self, instance: InstanceId, sends: &[ReportedSend]) -> Result<(), RepositoryError> {
        let (Some(first), Some(last)) = (sends.first(), sends.last()) else { return Ok(()) };
        let tried = (first.tried_within().0, last.tried_within().1);
        let found = self.sends.unknown_failures(instance, tried).await;
        let mut failures = passed_over(found, instance)?.unwrap_or_default();
        for sent in sends {
            let failure = sent.among(&failures).cloned();
            let settled = self.settle(sent, failure.as_ref()).await?;
            if let Some(failure) = failure {
                // It has its name, or has changed meanwhile.
                failures.retain(|other| other.message != failure.message);
                if settled {
                    info!(message.id = %failure.message, name = sent.of.id, "what its provider reports as sent is a message whose answer was lost");
                    // After its name was written: what was reported of it counts.
                    self.receipts.apply(&sent.of).await;
                }
            }
        }
        Ok(())
    }

    /// Whether the message has this name now.
    async fn settle(&self, sent: &ReportedSend, failure: Option<&UnknownFailure>) -> Result<bool, RepositoryError> {
        let settled = passed_over(self.sends.settle(sent, failure).await, sent.of.instance)?;
        if settled.is_none() && failure.is_some() {
            passed_over(self.sends.settle(sent, None).await, sent.of.instance)?;
        }
        Ok(settled.unwrap_or_default())
    }
}

/// None when the database will never answer this in another way.
fn passed_over<T>(answer: Result<T, RepositoryError>, instance: InstanceId) -> Result<Option<T>, RepositoryError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.may_pass() => Err(error),
        Err(error) => {
            error!(instance.id = %instance, %error, "what a provider reports as sent is passed over");
            Ok(None)
        }
    }
}
