use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::pace::{Pace, Reserved};

/// The slots in which instances that have a pace are called, among all processes that share a database.
///
/// `tests/contracts/delivery/paces.rs` proves what is promised here.
#[async_trait]
pub trait Paces: Send + Sync {
    /// Reserves slots and returns, as [`Course::reserve`](crate::domain::instance::pace::Course::reserve) says: a slot is
    /// reserved once, whoever asks and however many do at the same time. One whose answer is lost is lost, too.
    async fn reserve(&self, asked: &SlotsAsked) -> Result<Reserved, RepositoryError>;
}

/// What a process has use for.
#[derive(Clone, Copy, Debug)]
pub struct SlotsAsked {
    pub instance: InstanceId,
    pub pace: Pace,
    /// At most so many slots, in which it will call the instance.
    pub slots: u32,
    /// For so many messages, which it puts off.
    pub returns: u32,
    /// By the clock of the process; only where the database has no clock of its own.
    pub now: Timestamp,
}
