//! The topics that a pattern matches, which are looked up again and again.

use std::time::{Duration, Instant};

use rdkafka::metadata::Metadata;

use crate::domain::topic::{TopicName, TopicPattern};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(30);

/// The same after one that has found nothing, or was not answered.
const SHORT_PAUSE: Duration = Duration::from_secs(5);

pub struct FollowedTopics {
    pub pattern: TopicPattern,
    /// In order.
    pub topics: Vec<String>,
    next_look: Instant,
}

impl FollowedTopics {
    pub fn new(pattern: TopicPattern) -> Self {
        Self { pattern, topics: Vec::new(), next_look: Instant::now() }
    }

    pub fn is_due(&self) -> bool {
        Instant::now() >= self.next_look
    }

    pub fn found(&mut self, topics: Vec<String>) {
        self.next_look = Instant::now() + if topics.is_empty() { SHORT_PAUSE } else { PAUSE };
        self.topics = topics;
    }

    pub fn found_nothing_out(&mut self) {
        self.next_look = Instant::now() + SHORT_PAUSE;
    }
}

/// The clients' topics that it matches. Kafka's own are none.
pub fn matching(pattern: &TopicPattern, metadata: &Metadata) -> Vec<String> {
    let names = metadata.topics().iter().filter_map(|topic| TopicName::parse(topic.name()).ok());
    let mut topics: Vec<String> =
        names.filter(|name| pattern.matches(name)).map(|name| name.as_str().to_owned()).collect();
    topics.sort_unstable();
    topics
}
