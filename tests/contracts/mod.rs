//! What each port promises, proved on every adapter.
//!
//! A new set of adapters joins by a function that opens it (see `support::databases`) and one line in `on_every_adapter`.

mod access;
mod broadcasts;
pub mod delivery;
pub mod events;
mod groups;
mod inbound;
mod instances;
mod kafka_rest;
pub mod messages;
mod node;
mod operations;
mod receipts;
mod recovery;
mod status_webhooks;
mod subscriptions;
mod topics;

/// Makes a test of every story on every set of adapters.
macro_rules! on_every_adapter {
    ($($story:ident),* $(,)?) => {
        crate::contracts::on_adapter!(memory: $($story)*);
        crate::contracts::on_adapter!(sqlite: $($story)*);
        crate::contracts::on_adapter!(postgres: $($story)*);
    };
}
pub(crate) use on_every_adapter;

macro_rules! on_adapter {
    ($adapter:ident: $($story:ident)*) => {
        mod $adapter {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(adapters) = crate::support::databases::$adapter().await {
                        super::$story(&adapters).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_adapter;
