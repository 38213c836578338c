use async_trait::async_trait;

use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::group::GroupId;
use crate::domain::group::member::{Member, MemberId};

/// Who is in which group. Whose the group is was asked before.
///
/// `tests/contracts/groups/group_members.rs` proves this for every implementation.
#[async_trait]
pub trait GroupMembers: Send + Sync {
    /// Adds members to one group, all or none, in order of their ids. One whose identifier is in the group already keeps its id and
    /// when it was added, gets the new one's type, its name and metadata where they are given, and is active again. No two of
    /// `members` have the same identifier, and their ids are above all of the group.
    ///
    /// The answer has what became of each, in the same order. When there is no such group, or it would have more than
    /// [`MOST_MEMBERS`](crate::domain::group::member::MOST_MEMBERS), none is added, and the answer is none.
    async fn add(&self, group: GroupId, members: &[Member]) -> Result<Option<Vec<Added>>, RepositoryError>;

    /// At most `limit` members with ids above `after`, in the order in which they were added; and at most
    /// [`BYTES_AT_ONCE`](crate::application::ports::BYTES_AT_ONCE).
    async fn list(&self, group: GroupId, after: Option<MemberId>, limit: u32) -> Result<ListedMembers, SearchError>;

    /// False when it has no such member.
    async fn remove(&self, group: GroupId, identifier: &str) -> Result<bool, RepositoryError>;
}

/// What became of one that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// As it is in the group now.
    pub member: Member,
    /// It was not in the group before.
    pub is_new: bool,
}

/// The members of a list.
#[derive(Clone, Debug)]
pub struct ListedMembers {
    pub members: Vec<Member>,
    /// Whether others follow.
    pub more: bool,
}
