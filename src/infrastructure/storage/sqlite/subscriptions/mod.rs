mod event_deliveries;
mod subscription_repository;

pub use event_deliveries::SqliteEventDeliveries;
pub use subscription_repository::SqliteSubscriptionRepository;
