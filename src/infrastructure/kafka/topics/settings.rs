//! What the broker says of a topic, and what that means for messages.

use rdkafka::admin::ConfigResource;

use crate::infrastructure::kafka::event::LARGEST_VALUE;

/// The settings of a topic that matter here, as they are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    pub name: String,
    /// Bytes of a batch of records (`max.message.bytes`). None: the broker does not say.
    pub largest_batch: Option<usize>,
    /// Of the partition that has the fewest.
    replicas: Option<usize>,
    /// `min.insync.replicas`
    least_in_sync: Option<usize>,
    /// `cleanup.policy` has `compact` in it.
    is_compacted: bool,
}

impl TopicSettings {
    pub fn new(name: &str, replicas: Option<usize>, resource: &ConfigResource) -> Self {
        let value = |setting| resource.get(setting).and_then(|entry| entry.value.as_deref());
        let number = |setting| value(setting).and_then(|value| value.parse().ok());
        Self {
            name: name.to_owned(),
            largest_batch: number("max.message.bytes"),
            replicas,
            least_in_sync: number("min.insync.replicas"),
            is_compacted: value("cleanup.policy").is_some_and(|policy| policy.split(',').any(|one| one == "compact")),
        }
    }

    /// What an operator should know of them.
    pub fn sentences(&self, has_dead_letters: bool) -> Vec<String> {
        let mut sentences = Vec::new();
        // Kafka asks for no more replicas than there are, whatever min.insync.replicas says.
        if let (Some(replicas), Some(least)) = (self.replicas, self.least_in_sync)
            && replicas.min(least) <= 1
        {
            sentences.push(format!(
                "acks=all means one disk here: the topic has {replicas} replica(s), and its min.insync.replicas is {least}; what \
                 Kafka loses is published again from the database"
            ));
        }
        if let Some(bytes) = self.largest_batch.filter(|bytes| *bytes < LARGEST_VALUE && !has_dead_letters) {
            sentences.push(format!(
                "the topic takes records of {bytes} bytes at most (max.message.bytes): messages that are larger travel as references \
                 to their rows"
            ));
        }
        if self.is_compacted && has_dead_letters {
            sentences.push(
                "the topic of dead letters is compacted (cleanup.policy): of the dead letters of one recipient only the last is \
                 kept, and a record without a key gets one; set cleanup.policy=delete"
                    .to_owned(),
            );
        } else if self.is_compacted {
            sentences.push(
                "the topic is compacted (cleanup.policy): of the messages that wait for one recipient Kafka keeps only the last, \
                 and the others are published again later, from the database; set cleanup.policy=delete"
                    .to_owned(),
            );
        }
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(replicas: usize, least_in_sync: usize, is_compacted: bool) -> TopicSettings {
        let (replicas, least_in_sync) = (Some(replicas), Some(least_in_sync));
        TopicSettings { name: "t".to_owned(), largest_batch: None, replicas, least_in_sync, is_compacted }
    }

    #[test]
    fn an_acknowledgement_that_means_one_disk_is_said() {
        for (replicas, least, is_said) in [(1, 1, true), (1, 2, true), (3, 1, true), (3, 2, false), (2, 2, false)] {
            let sentences = topic(replicas, least, false).sentences(false);
            assert_eq!(sentences.len(), usize::from(is_said), "{replicas} {least}: {sentences:?}");
        }
    }

    #[test]
    fn a_topic_that_forgets_what_it_should_keep_is_said() {
        assert!(topic(3, 2, true).sentences(true)[0].contains("topic of dead letters is compacted"));
        assert!(topic(3, 2, true).sentences(false)[0].contains("the topic is compacted"));
    }
}
