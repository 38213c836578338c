//! What a message costs, alone and by the thousand.

pub mod accepts;
pub mod costs;
pub mod direct;
pub mod flood;
pub mod latency;
pub mod plain_inserts;
pub mod sqlite;
pub mod sustained;
pub mod told;
