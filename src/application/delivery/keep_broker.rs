use std::sync::Arc;

use async_trait::async_trait;
use futures::future::select;

use crate::application::Stop;
use crate::application::ports::Broker;
use crate::application::service::Service;

/// Keeps the broker that messages travel through ready.
pub struct KeepBroker {
    pub broker: Arc<dyn Broker>,
}

#[async_trait]
impl Service for KeepBroker {
    fn name(&self) -> &'static str {
        "broker"
    }

    async fn run(self: Box<Self>, stop: Stop) {
        select(stop.clone(), self.broker.prepare()).await;
        self.broker.keep(stop).await;
    }
}
