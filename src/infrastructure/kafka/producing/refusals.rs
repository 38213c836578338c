//! Topics that the broker takes no records for.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::infrastructure::kafka::client::{About, Troubles};

/// Knows to which topics the broker refuses to write, and says so to operators. What is refused because of the record alone is
/// none of this: another form of it is published.
pub struct Refusals {
    troubles: Arc<Troubles>,
    topics: Mutex<BTreeSet<String>>,
    /// So that a publication that succeeds costs nothing while none is refused.
    are_some: AtomicBool,
}

impl Refusals {
    pub fn new(troubles: Arc<Troubles>) -> Self {
        Self { troubles, topics: Mutex::default(), are_some: AtomicBool::new(false) }
    }

    pub fn failed(&self, topic: &str, error: &KafkaError) {
        let Some(sentence) = sentence(topic, error) else { return };
        let mut topics = self.topics();
        topics.insert(topic.to_owned());
        self.are_some.store(true, Ordering::Relaxed);
        self.troubles.found(About::Publishing(topic.to_owned()), sentence);
    }

    pub fn succeeded(&self, topic: &str) {
        if !self.are_some.load(Ordering::Relaxed) {
            return;
        }
        let mut topics = self.topics();
        topics.remove(topic);
        self.are_some.store(!topics.is_empty(), Ordering::Relaxed);
        self.troubles.over(&About::Publishing(topic.to_owned()));
    }

    fn topics(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// None: it says nothing about the topic.
fn sentence(topic: &str, error: &KafkaError) -> Option<String> {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code()?;
    let cause = match code {
        Code::TopicAuthorizationFailed => {
            "the broker's ACLs do not let this process write there (Write and Describe on the topic)".to_owned()
        }
        Code::ClusterAuthorizationFailed => {
            "the broker's ACLs do not let this process write at all (Write and Describe on its topics, or IdempotentWrite on the \
             cluster)"
                .to_owned()
        }
        Code::MessageSizeTooLarge | Code::InvalidTimestamp | Code::InvalidRecord | Code::InvalidDifferentRecord => {
            return None;
        }
        // What librdkafka says by itself passes, or is said elsewhere.
        code if (code as i32) <= 0 => return None,
        code => format!("the broker refuses ({code})"),
    };
    Some(format!(
        "nothing can be published to the topic `{topic}`: {cause}; what waits for it stays in the database, and is tried again"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_broker_says_of_the_topic_is_a_refusal() {
        let said = |code| sentence("send", &KafkaError::MessageProduction(code));
        assert!(
            said(RDKafkaErrorCode::TopicAuthorizationFailed)
                .is_some_and(|said| said.contains("`send`: the broker's ACLs"))
        );
        assert!(said(RDKafkaErrorCode::PolicyViolation).is_some_and(|said| said.contains("refuses")));
        for code in
            [RDKafkaErrorCode::MessageTimedOut, RDKafkaErrorCode::PurgeQueue, RDKafkaErrorCode::MessageSizeTooLarge]
        {
            assert_eq!(said(code), None);
        }
    }
}
