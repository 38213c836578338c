use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use uuid::Uuid;

use crate::application::ports::Ids;
use crate::domain::message::OrderingKey;

/// Keeps messages of one instance to one recipient in the order in which they were accepted, while everything else
/// goes on beside them. A place is taken together with the id, so that both orders are the same.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Mutex<HashMap<OrderingKey, Tail>>>);

/// The last place of a lane: the next one waits for it.
struct Tail {
    place: Uuid,
    vacated: oneshot::Receiver<Vacated>,
}

/// Sent when a place is dropped. If before its turn, carries the predecessor that the next place must now wait for.
struct Vacated(Option<oneshot::Receiver<Vacated>>);

/// A place in a lane. Dropping it lets the next one through.
pub struct LanePlace {
    pub id: Uuid,
    key: OrderingKey,
    lanes: Lanes,
    ahead: Option<oneshot::Receiver<Vacated>>,
    leave: Option<oneshot::Sender<Vacated>>,
}

impl Lanes {
    pub fn enter(&self, key: OrderingKey, ids: &dyn Ids) -> LanePlace {
        let (leave, vacated) = oneshot::channel();
        let mut tails = self.tails();
        let id = ids.next();
        let ahead = tails.insert(key.clone(), Tail { place: id, vacated }).map(|tail| tail.vacated);
        drop(tails);
        LanePlace { id, key, lanes: self.clone(), ahead, leave: Some(leave) }
    }

    fn tails(&self) -> MutexGuard<'_, HashMap<OrderingKey, Tail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LanePlace {
    /// Waits until every place ahead has been dropped.
    pub async fn turn(&mut self) {
        while let Some(ahead) = &mut self.ahead {
            // Awaited in place: if this future is dropped, the next one still learns what to wait for.
            self.ahead = ahead.await.ok().and_then(|vacated| vacated.0);
        }
    }
}

impl Drop for LanePlace {
    fn drop(&mut self) {
        let mut tails = self.lanes.tails();
        let is_last = tails.get(&self.key).is_some_and(|tail| tail.place == self.id);
        // A last place that has had its turn takes its lane with it: idle recipients cost nothing.
        if is_last && self.ahead.is_none() {
            tails.remove(&self.key);
        }
        drop(tails);
        if let Some(leave) = self.leave.take() {
            // The next place may not exist, which is fine.
            let _ = leave.send(Vacated(self.ahead.take()));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::domain::instance::InstanceId;

    #[derive(Default)]
    struct Counting(std::sync::atomic::AtomicU64);

    impl Ids for Counting {
        fn next(&self) -> Uuid {
            Uuid::from_u64_pair(0, self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        }
    }

    fn key(recipient: &str) -> OrderingKey {
        OrderingKey { instance: InstanceId(Uuid::nil()), recipient: recipient.to_owned() }
    }

    #[test]
    fn the_second_waits_until_the_first_has_left() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let mut first = lanes.enter(key("ana"), &ids);
        let mut second = lanes.enter(key("ana"), &ids);
        assert!(first.id < second.id);
        assert!(first.turn().now_or_never().is_some());
        assert!(second.turn().now_or_never().is_none());
        drop(first);
        assert!(second.turn().now_or_never().is_some());
    }

    #[test]
    fn other_recipients_do_not_wait() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let _ana = lanes.enter(key("ana"), &ids);
        assert!(lanes.enter(key("bia"), &ids).turn().now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_in_the_middle_lets_nobody_overtake() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let first = lanes.enter(key("ana"), &ids);
        let second = lanes.enter(key("ana"), &ids);
        let mut third = lanes.enter(key("ana"), &ids);
        drop(second);
        assert!(third.turn().now_or_never().is_none());
        drop(first);
        assert!(third.turn().now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_at_the_end_lets_nobody_overtake_and_leaves_nothing_behind() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let first = lanes.enter(key("ana"), &ids);
        drop(lanes.enter(key("ana"), &ids));
        let mut third = lanes.enter(key("ana"), &ids);
        assert!(third.turn().now_or_never().is_none());
        drop(first);
        assert!(third.turn().now_or_never().is_some());
        drop(third);
        assert!(lanes.tails().is_empty());
    }
}
