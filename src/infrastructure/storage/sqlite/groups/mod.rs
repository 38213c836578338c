//! Groups, who is in them, and how they are synced.

mod group_members;
mod group_repository;
mod group_syncs;

pub use group_members::SqliteGroupMembers;
pub use group_repository::SqliteGroupRepository;
pub use group_syncs::SqliteGroupSyncs;
