//! Topics in memory, that take what their test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use correio::application::ports::{PublishError, TopicProducer};
use correio::domain::topic::{RecordPosition, TopicRecord};
use futures::FutureExt;
use futures::future::BoxFuture;

/// One partition a topic.
#[derive(Default)]
pub struct MemoryTopics {
    topics: Mutex<BTreeMap<String, Vec<TopicRecord>>>,
}

impl MemoryTopics {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }
}

impl TopicProducer for MemoryTopics {
    fn publish(&self, topic: &str, record: TopicRecord) -> BoxFuture<'static, Result<RecordPosition, PublishError>> {
        let mut topics = self.topics.lock().unwrap();
        let records = topics.entry(topic.to_owned()).or_default();
        records.push(record);
        let position = RecordPosition { partition: 0, offset: i64::try_from(records.len()).unwrap() - 1 };
        async move { Ok(position) }.boxed()
    }

    fn is_connected(&self) -> bool {
        true
    }

    fn addresses(&self) -> Vec<String> {
        vec!["memory:9092".to_owned()]
    }

    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
}
