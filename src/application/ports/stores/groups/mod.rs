//! Groups, who is in them, and how they are synced.

mod group_members;
mod group_repository;
mod group_syncs;

pub use group_members::{Added, GroupMembers, ListedMembers};
pub use group_repository::{GroupRepository, ListedGroups};
pub use group_syncs::GroupSyncs;
