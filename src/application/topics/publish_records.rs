use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;

use super::once::{Once, OncePublished, holds};
use super::publication::{Confirmation, Publication};
use super::topics_instance::{TopicsInstance, TopicsInstanceError};
use super::{CHANNEL, TRIES, kept_record};
use crate::application::delivery::DeliverMessage;
use crate::application::node::held_messages::Hold;
use crate::application::node::this_node::ThisNode;
use crate::application::ports::{Accepted, Clock, Ids, MessageRepository, RepositoryError, Tasks};
use crate::domain::access::principal::Principal;
use crate::domain::instance::Instance;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Content, Draft, Message, MessageId, MessageStatus, Recipient};
use crate::domain::topic::{TopicName, TopicRecord};

/// Publishes records to a topic: each is stored as a message first, then published in their order, and its caller may wait for
/// Kafka's answer.
///
/// ```text
/// let publications = publish_records.execute(&caller, &topic, records).await?;     // stored: nothing is lost from here on
/// for publication in publications {                                                 // one for each record, in order
///     match publication {
///         Ok(publication) => publish_records.confirmation(publication, timeout).await,   // Confirmed, Unconfirmed, Failed
///         Err(error) => ...,                                                        // this one was not stored
///     }
/// }
/// ```
///
/// Whoever streams calls `execute` for what has arrived, one call after the other, and waits for the confirmations beside that:
/// records are in the topic in the order of the calls.
pub struct PublishRecords {
    pub messages: Arc<dyn MessageRepository>,
    pub instance: TopicsInstance,
    pub deliver: Arc<DeliverMessage>,
    pub node: ThisNode,
    pub ids: Arc<dyn Ids>,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
}

#[derive(Debug, thiserror::Error)]
pub enum PublishRecordsError {
    /// This process knows no brokers.
    #[error("no Kafka brokers are configured (KAFKA_BROKERS)")]
    NoBrokers,
    #[error("messages travel through this topic: it takes no records of clients")]
    Reserved,
    #[error("{0}")]
    Instance(String),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl From<TopicsInstanceError> for PublishRecordsError {
    fn from(error: TopicsInstanceError) -> Self {
        match error {
            TopicsInstanceError::Repository(error) => Self::Repository(error),
            error => Self::Instance(error.to_string()),
        }
    }
}

/// A record that is about to be stored.
struct Begun {
    message: Message,
    hold: Option<Hold>,
    publication: Publication,
}

impl PublishRecords {
    /// Returns when the records are stored, or were refused by the database, which is said for each. A caller that hangs up must
    /// not drop this future: presentation runs it in a task of its own.
    ///
    /// # Errors
    /// When none was stored.
    pub async fn execute(
        &self,
        caller: &Principal,
        topic: &TopicName,
        records: Vec<TopicRecord>,
    ) -> Result<Vec<Result<Publication, RepositoryError>>, PublishRecordsError> {
        let sender = self.deliver.channels.find(&channel()).ok_or(PublishRecordsError::NoBrokers)?;
        sender.check_message(topic.as_str(), &Content::default()).map_err(|_| PublishRecordsError::Reserved)?;
        let instance = self.instance.of(caller).await?;
        let begun = self.begin(caller, topic, &instance, records).await?;
        let accepts = begun.iter().map(|begun| self.messages.accept(&begun.message, None));
        let stored = join_all(accepts).await;
        let mut publications = Vec::with_capacity(begun.len());
        for (begun, stored) in begun.into_iter().zip(stored) {
            publications.push(match stored {
                Ok(_) => Ok(self.publish(begun, &instance)),
                Err(error) => Err(self.not_stored(begun, error)),
            });
        }
        Ok(publications)
    }

    /// The same for one record that may have been published before: within a time, of all that are alike one is published.
    ///
    /// # Errors
    /// When it was not stored.
    pub async fn once(
        &self,
        caller: &Principal,
        topic: &TopicName,
        record: TopicRecord,
        once: &Once,
    ) -> Result<OncePublished, PublishRecordsError> {
        let sender = self.deliver.channels.find(&channel()).ok_or(PublishRecordsError::NoBrokers)?;
        sender.check_message(topic.as_str(), &Content::default()).map_err(|_| PublishRecordsError::Reserved)?;
        let instance = self.instance.of(caller).await?;
        let request = once.request();
        let Some(begun) = self.begin(caller, topic, &instance, vec![record]).await?.pop() else {
            return Err(PublishRecordsError::Instance("a record is neither kept nor refused".to_owned()));
        };
        let mut accepted = self.messages.accept(&begun.message, Some(&request)).await;
        if matches!(&accepted, Ok(Accepted::KeyTaken(kept)) if !holds(&kept.message)) {
            accepted = match self.messages.free_key(&caller.tenant, &request.key).await {
                Ok(()) => self.messages.accept(&begun.message, Some(&request)).await,
                Err(error) => Err(error),
            };
        }
        match accepted {
            Ok(Accepted::Stored) => Ok(OncePublished::New(self.publish(begun, &instance))),
            Ok(Accepted::KeyTaken(kept)) => Ok(OncePublished::Before(kept.message.id, Confirmation::of(&kept.message))),
            Err(error) => Err(self.not_stored(begun, error).into()),
        }
    }

    /// What becomes of a record within `timeout`.
    pub async fn confirmation(&self, publication: Publication, timeout: Duration) -> Confirmation {
        publication.confirmation(self.clock.sleep(timeout)).await
    }

    async fn begin(
        &self,
        caller: &Principal,
        topic: &TopicName,
        instance: &Instance,
        records: Vec<TopicRecord>,
    ) -> Result<Vec<Begun>, PublishRecordsError> {
        let node = self.node.identity.current_or_wait().await?;
        let now = self.clock.now();
        let recipient =
            Recipient::parse(topic.as_str()).map_err(|error| PublishRecordsError::Instance(error.to_string()))?;
        let begin = |record| {
            let draft = Draft::new(recipient.clone(), kept_record::content(record));
            let (id, status) = (MessageId(self.ids.next()), MessageStatus::Pending);
            let message = Message::accept(caller, instance, draft, TRIES, status, node, id, now);
            let publication = Publication { message_id: id, waiting: self.node.confirmations.wait(id) };
            Begun { hold: self.node.held.hold(id), publication, message }
        };
        Ok(records.into_iter().map(begin).collect())
    }

    /// The first poll gives the record to the producer, so that the order of the calls is the order in the topic.
    fn publish(&self, begun: Begun, instance: &Instance) -> Publication {
        let Begun { message, hold, publication } = begun;
        self.node.tally.received();
        let (deliver, destination) = (self.deliver.clone(), instance.clone().destination());
        let mut delivering = async move {
            let _hold = hold;
            deliver.deliver_accepted(message, destination).await;
        }
        .boxed();
        if (&mut delivering).now_or_never().is_none() {
            self.tasks.spawn(delivering);
        }
        publication
    }

    /// It may be stored all the same, if the database did not answer.
    fn not_stored(&self, begun: Begun, error: RepositoryError) -> RepositoryError {
        let Begun { message, hold, .. } = begun;
        if let (RepositoryError::Unavailable(_), Some(hold), Some(node)) = (&error, hold, message.node) {
            self.node.unreconciled.accept(message.id, node, hold);
        }
        error
    }
}

fn channel() -> ChannelName {
    ChannelName::new(CHANNEL)
}
