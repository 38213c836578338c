use std::sync::Arc;

use crate::application::ports::{AdministrationError, TopicAdministration};

/// Deletes a topic of clients.
pub struct DeleteTopic {
    pub topics: Arc<dyn TopicAdministration>,
    pub own: Vec<OwnTopic>,
}

/// One that Correio needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTopic {
    pub name: String,
    /// What is in it: the end of a sentence that begins with "it has".
    pub content: &'static str,
}

/// Kafka's own, and what is in them. A broker deletes them as any other.
const OF_KAFKA: [(&str, &str); 4] = [
    ("__consumer_offsets", "how far each consumer group has come"),
    ("__transaction_state", "the transactions of its clients"),
    ("__share_group_state", "how far each share group has come"),
    ("__cluster_metadata", "what the brokers know of each other"),
];

#[derive(Debug, thiserror::Error)]
pub enum DeleteTopicError {
    #[error("The topic `{0}` is Correio's own, and is not deleted here: it has {1}.")]
    Own(String, &'static str),
    #[error("The topic `{0}` is Kafka's own, and is not deleted here: it has {1}.")]
    OfKafka(String, &'static str),
    #[error(transparent)]
    Administration(#[from] AdministrationError),
}

impl DeleteTopic {
    /// # Errors
    /// Also for a topic that is nobody's to delete, whether it is there or not.
    pub async fn execute(&self, topic: &str) -> Result<(), DeleteTopicError> {
        if let Some(own) = self.own.iter().find(|own| own.name == topic) {
            return Err(DeleteTopicError::Own(topic.to_owned(), own.content));
        }
        if let Some((_, content)) = OF_KAFKA.iter().find(|(name, _)| *name == topic) {
            return Err(DeleteTopicError::OfKafka(topic.to_owned(), content));
        }
        Ok(self.topics.delete(topic).await?)
    }
}
