//! Groups: made, shown, changed, synced with their providers, and sent to.

pub mod change_groups;
pub use change_groups::ChangeGroups;

pub mod change_members;
pub use change_members::ChangeMembers;

pub mod create_group;
pub use create_group::CreateGroup;

pub mod read_groups;
pub use read_groups::ReadGroups;

pub mod send_to_group;
pub use send_to_group::SendToGroup;

pub mod sync_groups;
pub use sync_groups::SyncGroups;
