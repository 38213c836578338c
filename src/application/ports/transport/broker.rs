use async_trait::async_trait;

use crate::application::Stop;
use crate::domain::message::MessageId;

/// The broker that messages travel through, as operators see it.
#[async_trait]
pub trait Broker: Send + Sync {
    /// Whether it was reachable when we last heard of it, a moment ago.
    fn is_connected(&self) -> bool;

    /// `host:port` of where it is reached first.
    fn addresses(&self) -> Vec<String>;

    /// What has been wrong with it for some seconds, a sentence each for operators.
    fn troubles(&self) -> Vec<String>;

    /// A record has named this message, and the database has none: another installation may have published it.
    fn names_nothing(&self, message: MessageId);

    /// Makes ready what messages travel through, such as topics. Returns after some seconds also when that did not
    /// work: [`keep`](Self::keep) goes on trying.
    async fn prepare(&self);

    /// Keeps the broker ready, and finds out what it has lost, until `stop` resolves.
    async fn keep(&self, stop: Stop);
}
