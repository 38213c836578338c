use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;

use super::handle_steps::{StepWork, WorkResult};
use crate::application::ports::{DueStep, LONGEST_PUBLICATION, PublishErrorKind, Report, TopicProducer, WebhookReader};
use crate::domain::event::{Event, Step};
use crate::domain::topic::TopicRecord;

/// Pause before an event is published that the broker did not take.
const PAUSE: Duration = Duration::from_secs(1);

/// The same of one that the broker refused.
const LONG_PAUSE: Duration = Duration::from_secs(15);

/// Publishes the events of the CRM to their topic.
pub struct PublishEvents {
    pub producer: Arc<dyn TopicProducer>,
    pub reader: Arc<dyn WebhookReader>,
    pub topic: String,
}

#[async_trait]
impl StepWork for PublishEvents {
    fn step(&self) -> Step {
        Step::Publish
    }

    fn purpose(&self) -> &'static str {
        "publish events"
    }

    fn is_possible(&self) -> bool {
        self.producer.is_connected()
    }

    fn lease(&self) -> Duration {
        2 * LONGEST_PUBLICATION
    }

    async fn work(&self, due: &[DueStep]) -> Vec<WorkResult> {
        // Begun in this order: events of one key stay in it.
        let begun: Vec<_> = due.iter().map(|due| self.producer.publish(&self.topic, self.record(&due.event))).collect();
        let published = join_all(begun).await.into_iter();
        published
            .map(|published| match published {
                Ok(position) => WorkResult::Done(format!("published to {} at {position}", self.topic)),
                Err(error) => match error.kind {
                    PublishErrorKind::Unanswered => WorkResult::Waits(PAUSE, error.reason),
                    // An operator has to make the topic, or to give the right to write to it.
                    PublishErrorKind::Refused => WorkResult::Waits(LONG_PAUSE, error.reason),
                    PublishErrorKind::RefusedForGood(_) => WorkResult::Failed(error.reason),
                },
            })
            .collect()
    }
}

impl PublishEvents {
    /// With the key and the headers that the topic's readers know.
    fn record(&self, event: &Event) -> TopicRecord {
        let report = self.reader.read(event.data.as_bytes()).ok();
        let header = |name: &str, value: Option<String>| {
            (name.to_owned(), Some(value.unwrap_or_else(|| "unknown".to_owned()).into_bytes()))
        };
        let of = |read: fn(&Report) -> Option<String>| report.as_ref().and_then(read);
        let key = event.ordering_key.clone().unwrap_or_else(|| "unknown-unknown".to_owned());
        TopicRecord {
            key: Some(key.into_bytes()),
            value: Some(event.data.clone().into_bytes()),
            headers: vec![
                header("content-type", Some("application/json".to_owned())),
                header("entity", of(|report| Some(report.entity.clone()))),
                header("action", of(|report| Some(report.action.clone()))),
                header("company_id", of(|report| report.company.clone())),
            ],
            ..TopicRecord::default()
        }
    }
}
