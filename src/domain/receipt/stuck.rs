//! Messages that their channel took, and of which it has said nothing more for too long.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;

/// How long a message may be `sent` before it counts as stuck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StuckAfter {
    /// On every channel that is not named.
    pub others: Duration,
    pub of_channels: BTreeMap<ChannelName, Duration>,
}

impl StuckAfter {
    pub fn of(&self, channel: &ChannelName) -> Duration {
        self.of_channels.get(channel).copied().unwrap_or(self.others)
    }

    /// The messages of this channel that are stuck at `now`, if they are `sent`.
    pub fn at(&self, channel: &ChannelName, now: Timestamp) -> StuckSince {
        let sent_before = chrono::TimeDelta::from_std(self.of(channel))
            .ok()
            .and_then(|for_so_long| now.checked_sub_signed(for_so_long));
        StuckSince { channel: channel.clone(), sent_before: sent_before.unwrap_or(Timestamp::MIN_UTC) }
    }
}

/// The messages of a channel that were sent before a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckSince {
    pub channel: ChannelName,
    pub sent_before: Timestamp,
}

/// What is stuck of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StuckOfInstance {
    pub instance: InstanceId,
    /// How many messages.
    pub count: u64,
    /// When the first of those was sent that were sent after the instance's last receipt came: it takes messages, and says nothing
    /// of any. None: a receipt came after all of them were sent.
    pub none_since: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_is_named_has_a_time_of_its_own() {
        let (named, other) = (ChannelName::new("whatsapp_oficial"), ChannelName::new("whatsapp_evolution"));
        let after = StuckAfter {
            others: Duration::from_secs(600),
            of_channels: [(named.clone(), Duration::from_secs(3_600))].into(),
        };
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        assert_eq!(after.at(&other, now).sent_before, "2026-11-30T11:50:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(after.at(&named, now).sent_before, "2026-11-30T11:00:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(after.at(&named, Timestamp::MIN_UTC).sent_before, Timestamp::MIN_UTC);
    }
}
