mod event_deliveries;
mod subscription_repository;

pub use event_deliveries::PgEventDeliveries;
pub use subscription_repository::PgSubscriptionRepository;
