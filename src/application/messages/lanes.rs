use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use uuid::Uuid;

use crate::application::ports::Ids;
use crate::domain::message::OrderingKey;

/// Keeps messages of one instance to one recipient in the order in which they were accepted, while everything else
/// goes on beside them. A place is taken together with the id, so that both orders are the same.
#[derive(Clone, Default)]
pub struct Lanes(Arc<Mutex<HashMap<OrderingKey, Lane>>>);

/// There for as long as it has a place: idle recipients cost nothing.
struct Lane {
    places: usize,
    /// The last place: the next one waits for it.
    last: oneshot::Receiver<Vacated>,
}

/// Sent when a place is dropped. If that was before its turn, carries the predecessor that the next place must now wait
/// for.
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
    /// The last place of the lane; `None` when it has more than `most` already.
    pub fn enter(&self, key: OrderingKey, ids: &dyn Ids, most: usize) -> Option<LanePlace> {
        let (leave, vacated) = oneshot::channel();
        let mut lanes = self.lanes();
        let mut ahead = None;
        match lanes.get_mut(&key) {
            Some(lane) if lane.places > most => return None,
            Some(lane) => {
                lane.places += 1;
                ahead = Some(std::mem::replace(&mut lane.last, vacated));
            }
            None => _ = lanes.insert(key.clone(), Lane { places: 1, last: vacated }),
        }
        let id = ids.next();
        drop(lanes);
        Some(LanePlace { id, key, lanes: self.clone(), ahead, leave: Some(leave) })
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<OrderingKey, Lane>> {
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

    /// Whether the lane is the instance's, not a recipient's.
    pub fn is_of_instance(&self) -> bool {
        self.key.recipient.is_empty()
    }

    /// Whether a place ahead is still taken.
    pub fn has_to_wait(&mut self) -> bool {
        self.move_up();
        self.ahead.is_some()
    }

    /// Passes over the places ahead that are vacant already: otherwise those that are dropped before their turn would be
    /// kept, each by the next, for as long as the lane is in use.
    fn move_up(&mut self) {
        while let Some(ahead) = &mut self.ahead {
            match ahead.try_recv() {
                Ok(None) => return,
                Ok(Some(vacated)) => self.ahead = vacated.0,
                Err(oneshot::Canceled) => self.ahead = None,
            }
        }
    }
}

impl Drop for LanePlace {
    fn drop(&mut self) {
        self.move_up();
        let mut lanes = self.lanes.lanes();
        if let Some(lane) = lanes.get_mut(&self.key) {
            lane.places -= 1;
            if lane.places == 0 {
                lanes.remove(&self.key);
            }
        }
        drop(lanes);
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

    fn enter(lanes: &Lanes, recipient: &str, ids: &Counting) -> LanePlace {
        lanes.enter(key(recipient), ids, 10).unwrap()
    }

    #[test]
    fn the_second_waits_until_the_first_has_left() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let mut first = enter(&lanes, "ana", &ids);
        let mut second = enter(&lanes, "ana", &ids);
        assert!(first.id < second.id);
        assert!(first.turn().now_or_never().is_some());
        assert!(second.turn().now_or_never().is_none());
        drop(first);
        assert!(second.turn().now_or_never().is_some());
    }

    #[test]
    fn other_recipients_do_not_wait() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let _ana = enter(&lanes, "ana", &ids);
        assert!(enter(&lanes, "bia", &ids).turn().now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_in_the_middle_lets_nobody_overtake() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let first = enter(&lanes, "ana", &ids);
        let second = enter(&lanes, "ana", &ids);
        let mut third = enter(&lanes, "ana", &ids);
        drop(second);
        assert!(third.turn().now_or_never().is_none());
        drop(first);
        assert!(third.turn().now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_at_the_end_lets_nobody_overtake_and_leaves_nothing_behind() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let first = enter(&lanes, "ana", &ids);
        drop(enter(&lanes, "ana", &ids));
        let mut third = enter(&lanes, "ana", &ids);
        assert!(third.turn().now_or_never().is_none());
        drop(first);
        assert!(third.turn().now_or_never().is_some());
        drop(third);
        assert!(lanes.lanes().is_empty());
    }

    #[test]
    fn a_lane_that_is_full_takes_nobody_until_somebody_leaves() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let first = lanes.enter(key("ana"), &ids, 2).unwrap();
        let _others = [(); 2].map(|()| lanes.enter(key("ana"), &ids, 2).unwrap());
        assert!(lanes.enter(key("ana"), &ids, 2).is_none());
        assert!(lanes.enter(key("bia"), &ids, 2).is_some());
        drop(first);
        assert!(lanes.enter(key("ana"), &ids, 2).is_some());
    }

    #[test]
    fn places_that_are_given_up_behind_a_slow_one_leave_nothing_behind() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let slow = enter(&lanes, "ana", &ids);
        for _ in 0..100_000 {
            drop(enter(&lanes, "ana", &ids));
        }
        let mut next = enter(&lanes, "ana", &ids);
        assert!(next.turn().now_or_never().is_none());
        let mut kept = 0;
        let mut ahead = next.ahead.take();
        while let Some(mut place) = ahead {
            kept += 1;
            ahead = place.try_recv().ok().flatten().and_then(|vacated| vacated.0);
        }
        assert!(kept <= 2, "{kept} places are kept");
        drop((slow, next));
        assert!(lanes.lanes().is_empty());
    }

    #[test]
    fn a_lane_in_constant_use_ends_with_its_last_place() {
        let (lanes, ids) = (Lanes::default(), Counting::default());
        let mut place = enter(&lanes, "ana", &ids);
        for _ in 0..100 {
            let next = enter(&lanes, "ana", &ids);
            drop(std::mem::replace(&mut place, next));
        }
        drop(place);
        assert!(lanes.lanes().is_empty());
    }
}
