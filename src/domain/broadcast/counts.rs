//! How far a broadcast is.

use std::collections::HashMap;

use super::{Broadcast, BroadcastStatus};
use crate::domain::Timestamp;
use crate::domain::message::MessageStatus;

/// How many messages are in which state; states without any may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroadcastCounts(pub HashMap<MessageStatus, u64>);

impl BroadcastCounts {
    pub fn of(&self, status: MessageStatus) -> u64 {
        self.0.get(&status).copied().unwrap_or_default()
    }

    pub fn open(&self) -> u64 {
        MessageStatus::OPEN.iter().map(|status| self.of(*status)).sum()
    }

    /// Those that have ended.
    pub fn ended(&self) -> u64 {
        self.0.values().sum::<u64>().saturating_sub(self.open())
    }
}

/// A broadcast, and what has become of its messages.
#[derive(Clone, Debug)]
pub struct BroadcastStanding {
    pub broadcast: Broadcast,
    pub counts: BroadcastCounts,
}

impl BroadcastStanding {
    /// Recipients without a message yet. After a cancel they count as cancelled.
    pub fn waiting(&self) -> u64 {
        let waits = u64::from(self.broadcast.waits());
        if self.broadcast.status == BroadcastStatus::Cancelled { 0 } else { waits }
    }

    pub fn cancelled(&self) -> u64 {
        let never_made = u64::from(self.broadcast.waits()) - self.waiting();
        self.counts.of(MessageStatus::Cancelled) + never_made
    }

    /// By how fast it went until `now`, and no sooner than its rate allows; none while neither says anything.
    pub fn expected_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.broadcast.finished_at.or_else(|| self.by_its_speed(now).max(self.by_its_rate(now)))
    }

    fn by_its_speed(&self, now: Timestamp) -> Option<Timestamp> {
        let ended = i64::try_from(self.counts.ended()).ok().filter(|ended| *ended > 0)?;
        let runs = matches!(self.broadcast.status, BroadcastStatus::Expanding | BroadcastStatus::Expanded);
        let since = self.broadcast.ids_at;
        let left = i64::from(self.broadcast.total) - ended;
        let took = (now - since).num_milliseconds();
        let needs = took.checked_mul(left)? / ended;
        (runs && took > 0).then(|| now.checked_add_signed(chrono::TimeDelta::milliseconds(needs)))?
    }

    /// When its last message has its slot.
    fn by_its_rate(&self, now: Timestamp) -> Option<Timestamp> {
        let Broadcast { status, ids_at, paced_at, .. } = self.broadcast;
        let next = match status {
            BroadcastStatus::Scheduled => ids_at,
            BroadcastStatus::Expanding | BroadcastStatus::Expanded => paced_at.unwrap_or(now),
            _ => return None,
        };
        let waits = self.broadcast.waits();
        let next = if waits > 0 { next.max(now) } else { next };
        let last = self.broadcast.rate()?.after(next, i64::from(waits) - 1);
        Some(last).filter(|last| *last > now)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::BroadcastId;
    use super::*;
    use crate::domain::access::principal::Tenant;
    use crate::domain::instance::InstanceId;
    use crate::domain::instance::channel::ChannelName;
    use crate::domain::message::Content;

    fn at(seconds: i64) -> Timestamp {
        let noon: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        noon + chrono::TimeDelta::seconds(seconds)
    }

    /// To 100, of which some have messages, accepted at noon.
    fn standing(status: BroadcastStatus, rate_per_minute: Option<u32>, cursor: u32, sent: u64) -> BroadcastStanding {
        let broadcast = Broadcast {
            id: BroadcastId(Uuid::nil()),
            tenant: Tenant::new("acme").unwrap(),
            user_id: "user".to_owned(),
            instance_id: InstanceId(Uuid::nil()),
            channel: ChannelName::new("sandbox"),
            channel_instance_id: "sandbox".to_owned(),
            group: None,
            content: Content::default(),
            is_template: true,
            max_tries: 3,
            priority: None,
            rate_per_minute,
            paced_at: None,
            send_at: None,
            status,
            total: 100,
            cursor,
            node: None,
            ids_at: at(0),
            created_at: at(0),
            updated_at: at(0),
            finished_at: None,
        };
        BroadcastStanding { broadcast, counts: BroadcastCounts([(MessageStatus::Sent, sent)].into()) }
    }

    #[test]
    fn the_end_is_expected_by_the_speed_and_no_sooner_than_the_rate_allows() {
        use BroadcastStatus::{Expanded, Expanding, Paused, Scheduled};
        assert_eq!(standing(Expanding, None, 0, 0).expected_end(at(10)), None);
        assert_eq!(standing(Expanding, None, 50, 50).expected_end(at(10)), Some(at(20)));
        assert_eq!(
            standing(Expanding, Some(60), 0, 0).expected_end(at(10)),
            Some(at(109)),
            "a hundred slots from now on"
        );
        let paced_at = |seconds, mut it: BroadcastStanding| {
            it.broadcast.paced_at = Some(at(seconds));
            it
        };
        let under_way = paced_at(40, standing(Expanding, Some(60), 40, 10));
        assert_eq!(under_way.expected_end(at(10)), Some(at(100)), "as fast as it went");
        assert_eq!(paced_at(40, standing(Expanding, Some(60), 40, 30)).expected_end(at(10)), Some(at(99)));
        assert_eq!(paced_at(100, standing(Expanded, Some(60), 100, 0)).expected_end(at(80)), Some(at(99)));
        assert_eq!(paced_at(100, standing(Expanded, Some(60), 100, 0)).expected_end(at(120)), None);
        assert_eq!(standing(Scheduled, Some(60), 0, 0).expected_end(at(-60)), Some(at(99)));
        assert_eq!(standing(Paused, Some(60), 40, 10).expected_end(at(10)), None);
    }
}
