//! What librdkafka says of brokers and partitions, once a second, as far as it matters here.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Deserialize)]
pub struct Statistics {
    #[serde(default)]
    pub brokers: HashMap<String, Broker>,
    #[serde(default)]
    pub topics: HashMap<String, Topic>,
}

#[derive(Deserialize)]
pub struct Topic {
    #[serde(default)]
    pub partitions: HashMap<String, TopicPartition>,
}

#[derive(Deserialize)]
pub struct TopicPartition {
    /// The `nodeid` of a broker; -1 for none.
    #[serde(default)]
    pub leader: i64,
}

#[derive(Deserialize)]
pub struct Broker {
    pub state: String,
    /// `host:port`
    #[serde(default)]
    pub nodename: String,
    /// Negative for an address of which it is not known yet which broker answers there.
    #[serde(default)]
    pub nodeid: i64,
}

impl Broker {
    pub fn is_up(&self) -> bool {
        self.state == "UP"
    }
}
