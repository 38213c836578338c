use std::time::Duration;

use crate::application::ports::Channels;
use crate::domain::Timestamp;
use crate::domain::instance::channel::ChannelName;
use crate::domain::receipt::{StuckAfter, StuckSince};

/// Which messages are stuck: those that are `sent` for too long, on channels that say later what became of a message.
#[derive(Clone)]
pub struct StuckRule {
    channels: Channels,
    after: StuckAfter,
}

impl StuckRule {
    pub fn new(channels: Channels, after: StuckAfter) -> Self {
        Self { channels, after }
    }

    pub fn is_about(&self, channel: &ChannelName) -> bool {
        self.channels.find(channel).is_some_and(|sender| sender.gives_receipts())
    }

    /// For each channel, the messages that are stuck at `now`.
    pub fn at(&self, now: Timestamp) -> Vec<StuckSince> {
        self.names().map(|channel| self.after.at(channel, now)).collect()
    }

    /// After how long a message of each channel is.
    pub fn after(&self) -> Vec<(ChannelName, Duration)> {
        self.names().map(|channel| (channel.clone(), self.after.of(channel))).collect()
    }

    fn names(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.names().filter(|channel| self.is_about(channel))
    }
}
