//! Which messages Kafka has lost, or never got.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use tracing::{debug, error, info};

use super::group_progress::{GroupProgress, ProgressUnknown};
use crate::application::Stop;
use crate::application::ports::Clock;
use crate::domain::Timestamp;
use crate::infrastructure::kafka::client::{About, Connection, Troubles};

const EVERY: Duration = Duration::from_secs(5);

/// For a commit that is slow, and for clocks that differ.
const SLACK: Duration = Duration::from_secs(15);

/// Knows up to when everything that was handed over has come to its consumers.
///
/// The record that the group reads next in a partition was last handed over (`updated_at`, its timestamp) at some moment.
/// A message of that partition that was handed over earlier than this moment by more than the producer's timeout stands
/// before that record or nowhere: the producer gave it to the broker within its timeout, or reported it as failed. So if
/// it still waits (`queued`), its record was lost, or was read by a worker that could not claim it. Of all partitions the
/// one that is furthest behind decides, because a row does not know its partition; one that is finished counts as now.
///
/// A false alarm costs a second copy, which the claim makes harmless.
pub struct LostRecords {
    before: Mutex<Option<Timestamp>>,
    is_forbidden: AtomicBool,
    /// Behind the record that is read next.
    margin: Duration,
}

impl LostRecords {
    pub fn new(publish_timeout: Duration) -> Self {
        Self { before: Mutex::default(), is_forbidden: AtomicBool::new(false), margin: publish_timeout + SLACK }
    }

    /// None: not known yet.
    pub fn before(&self) -> Option<Timestamp> {
        *self.before.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub async fn run(&self, group: &Arc<GroupProgress>, connection: &Connection, clock: &dyn Clock, stop: Stop) {
        loop {
            group.serve();
            if connection.is_connected() {
                self.refresh(group, &connection.troubles(), clock).await;
            }
            tokio::select! {
                () = stop.clone() => return,
                () = clock.sleep(EVERY) => {}
            }
        }
    }

    /// Said loudly when it begins: nothing else finds what Kafka loses.
    fn complain(&self, error: &ProgressUnknown, troubles: &Troubles) {
        if error.is_forbidden {
            let sentence = format!(
                "this process may not read how far its consumer group has come: {error}; a message that Kafka loses is not found, and \
                 stays queued (Describe and Read on the group, Describe and Read on its topic)"
            );
            troubles.found(About::Progress, sentence);
        }
        if error.is_forbidden && !self.is_forbidden.swap(true, Ordering::Relaxed) {
            return error!(
                target: "kafka", %error,
                "this process may not read how far its consumer group has come: a message that Kafka loses is not found, and \
                 stays queued, until it may (Describe and Read on the group, Describe and Read on its topic)"
            );
        }
        debug!(target: "kafka", %error, "how far the group has come is not known");
    }

    /// What cannot be found out now leaves what is known.
    async fn refresh(&self, group: &Arc<GroupProgress>, troubles: &Troubles, clock: &dyn Clock) {
        // Before the look: what is handed over during it counts as waiting.
        let now = clock.now();
        let asked = group.clone();
        let next = match tokio::task::spawn_blocking(move || asked.oldest_waiting()).await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => return self.complain(&error, troubles),
            Err(error) => return debug!(target: "kafka", %error, "how far the group has come is not known"),
        };
        if self.is_forbidden.swap(false, Ordering::Relaxed) {
            info!(target: "kafka", "how far the group has come may be read again");
            troubles.over(&About::Progress);
        }
        // A record may come from a clock that is ahead of ours.
        let horizon = next.map_or(now, |next| next.min(now));
        let before = TimeDelta::from_std(self.margin).ok().and_then(|margin| horizon.checked_sub_signed(margin));
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = before;
    }
}
