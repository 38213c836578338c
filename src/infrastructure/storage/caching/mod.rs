//! What is remembered of the stores for a moment, in front of either database.

mod cached_api_keys;
mod cached_instances;

pub use cached_api_keys::CachedApiKeys;
pub use cached_instances::CachedInstances;
