//! How often a message may be tried.

/// Most tries for a message, whether the installation, an instance or a request sets its limit.
pub const MOST_TRIES: u32 = 100;
