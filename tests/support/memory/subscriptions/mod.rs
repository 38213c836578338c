mod event_deliveries;
mod subscription_repository;

pub use event_deliveries::MemoryEventDeliveries;
pub use subscription_repository::MemorySubscriptionRepository;
