//! Short-lived caches of the stores, in front of either database.

mod cached_api_keys;
mod cached_instances;

pub use cached_api_keys::CachedApiKeys;
pub use cached_instances::CachedInstances;
