//! What became of each message of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use correio::domain::message::{Message, MessageId, MessageStatus};

use super::channel::{Call, Deed};
use super::scenario::Ended;
use crate::support::memory::{CRASH, Change, FAIL};

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Broken {
    pub message: Option<MessageId>,
    pub how: String,
}

/// Everything that is known of one message.
pub struct Story<'a> {
    pub row: &'a Message,
    /// With the time of each.
    pub changes: Vec<(Duration, &'a Change)>,
    pub calls: Vec<&'a Call>,
}

impl Story<'_> {
    pub fn replays(&self) -> usize {
        self.changes.iter().filter(|(_, change)| is_move(change, MessageStatus::Failed, MessageStatus::Queued)).count()
    }

    pub fn last_replay(&self) -> Duration {
        let is_replay = |change: &Change| is_move(change, MessageStatus::Failed, MessageStatus::Queued);
        self.changes.iter().rev().find(|(_, change)| is_replay(change)).map_or(Duration::ZERO, |(at, _)| *at)
    }

    /// Claims that a crash took back, each with the crash after it.
    pub fn lost_claims(&self) -> impl Iterator<Item = (&(Duration, &Change), &(Duration, &Change))> {
        self.changes.iter().zip(self.changes.iter().skip(1)).filter(|(_, (_, next))| next.writer == CRASH)
    }

    /// How many of them were made good by their outcome.
    pub fn made_good(&self) -> usize {
        self.changes.iter().filter(|(_, change)| makes_good(change)).count()
    }

    pub fn was(&self, deeds: &[Deed]) -> bool {
        self.calls.iter().any(|call| deeds.contains(&call.deed))
    }
}

pub fn is_move(change: &Change, from: MessageStatus, to: MessageStatus) -> bool {
    change.from == Some(from) && change.to == to
}

/// An outcome of a row that is not claimed.
pub fn makes_good(change: &Change) -> bool {
    change.believed.is_some() && change.from == Some(MessageStatus::Queued)
}

/// Of a queued message whose instance is deleted: a claim and its outcome in one.
pub fn fails_unclaimed(change: &Change) -> bool {
    change.writer == FAIL && is_move(change, MessageStatus::Queued, MessageStatus::Failed)
}

pub fn stories(ended: &Ended) -> Vec<Story<'_>> {
    let mut stories: BTreeMap<MessageId, Story> =
        ended.rows.iter().map(|row| (row.id, Story { row, changes: Vec::new(), calls: Vec::new() })).collect();
    for (change, at) in ended.history.iter().zip(&ended.told.changed_at) {
        if let Some(story) = stories.get_mut(&change.id) {
            story.changes.push((*at, change));
        }
    }
    for call in &ended.calls {
        if let Some(story) = stories.get_mut(&call.message) {
            story.calls.push(call);
        }
    }
    stories.into_values().collect()
}
