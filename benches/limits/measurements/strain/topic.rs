use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;

use crate::Result;
use crate::setting::Setting;
use crate::stage::Stage;

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where an installation's messages travel.
pub struct Topic {
    name: String,
    consumer: Arc<BaseConsumer>,
}

impl Topic {
    /// # Errors
    /// When no client can be made.
    pub fn of(stage: &Stage, setting: &Setting) -> Result<Self> {
        let consumer = ClientConfig::new().set("bootstrap.servers", stage.kafka.address()).create()?;
        Ok(Self { name: setting.topic(), consumer: Arc::new(consumer) })
    }

    /// How many records were ever put into it: none is deleted here, and none belongs to a transaction.
    ///
    /// # Errors
    /// When the broker does not say.
    pub async fn records(&self) -> Result<u64> {
        let (name, consumer) = (self.name.clone(), self.consumer.clone());
        let count = move || -> KafkaResult<i64> {
            let metadata = consumer.fetch_metadata(Some(&name), PATIENCE)?;
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            partitions.map(|partition| Ok(consumer.fetch_watermarks(&name, partition.id(), PATIENCE)?.1)).sum()
        };
        Ok(tokio::task::spawn_blocking(count).await??.unsigned_abs())
    }
}
