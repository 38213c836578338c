use std::sync::Arc;

use crate::application::ports::{Broker, TopicProducer};

/// The brokers of this installation, as this process sees them: those that messages travel through, or those that have clients'
/// topics.
#[derive(Clone)]
pub struct SeenBrokers {
    /// None: messages travel without a broker.
    pub broker: Option<Arc<dyn Broker>>,
    /// None: clients publish to no topics.
    pub topics: Option<Arc<dyn TopicProducer>>,
}

#[derive(Clone, Debug, Default)]
pub struct BrokerHealth {
    pub connected: bool,
    pub addresses: Vec<String>,
    /// What has been wrong for some seconds, a sentence each.
    pub troubles: Vec<String>,
}

impl SeenBrokers {
    /// Whether there are to be any.
    pub fn are_configured(&self) -> bool {
        self.broker.is_some() || self.topics.is_some()
    }

    pub fn health(&self) -> BrokerHealth {
        if let Some(broker) = &self.broker {
            return BrokerHealth {
                connected: broker.is_connected(),
                addresses: broker.addresses(),
                troubles: broker.troubles(),
            };
        }
        self.topics.as_ref().map_or_else(BrokerHealth::default, |topics| BrokerHealth {
            connected: topics.is_connected(),
            addresses: topics.addresses(),
            troubles: topics.troubles(),
        })
    }
}
