//! Groups, who is in them, and how they are synced.

mod group_members;
mod group_repository;
mod group_syncs;

pub use group_members::PgGroupMembers;
pub use group_repository::PgGroupRepository;
pub use group_syncs::PgGroupSyncs;
