//! Short-lived caches of the stores, in front of either database.

mod cached_api_keys;
mod cached_instances;
mod cached_users;

pub use cached_api_keys::CachedApiKeys;
pub use cached_instances::CachedInstances;
pub use cached_users::CachedUsers;
