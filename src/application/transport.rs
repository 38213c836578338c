//! How messages travel, as the application sees the setting.

use std::sync::Arc;

use crate::application::ports::{Broker, DeadLetterTopic, Duties, MessageQueue, MessageSource};
use crate::domain::message::dead_letter::DeadLetterPolicy;

/// How messages travel.
#[derive(Clone)]
pub enum Transport {
    /// What is accepted is delivered immediately.
    Direct,
    Brokered(Brokered),
}

#[derive(Clone)]
pub struct Brokered {
    pub broker: Arc<dyn Broker>,
    pub queue: Arc<dyn MessageQueue>,
    pub dead_letters: Arc<dyn DeadLetterTopic>,
    /// None in a process that delivers nothing.
    pub source: Option<Arc<dyn MessageSource>>,
}

impl Transport {
    pub fn brokered(&self) -> Option<&Brokered> {
        match self {
            Transport::Direct => None,
            Transport::Brokered(brokered) => Some(brokered),
        }
    }

    /// Where a message that fails in this process is kept for people to find it.
    pub fn dead_letters(&self) -> DeadLetterPolicy {
        match self {
            Transport::Direct => DeadLetterPolicy::Row,
            Transport::Brokered(_) => DeadLetterPolicy::Topic,
        }
    }

    pub fn duties(&self) -> Duties {
        let brokered = self.brokered();
        let consumes = brokered.is_some_and(|brokered| brokered.source.is_some());
        Duties { publishes: brokered.is_some(), consumes }
    }
}
