//! What was put off because its instance was not connected does not wait for its time once it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::try_join_all;
use tracing::info;

use crate::application::delivery::admission::Admission;
use crate::application::ports::{Clock, DueMessages, InstanceRepository, Position, Recall, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::{ConnectionStatus, InstanceId};

/// What a relay remembers of the instances that have returned.
#[derive(Default)]
pub struct Recalling {
    returned: BTreeMap<InstanceId, Returned>,
    /// Under way.
    pass: Option<Pass>,
    /// When the next may begin: an instance that comes and goes all the time costs a database little.
    rests_until: Duration,
    asked_at: Option<Duration>,
    /// The last whose row was asked: more are away than are asked at a time.
    asked_up_to: Option<InstanceId>,
}

/// By the monotonic clock.
struct Returned {
    noticed_at: Duration,
    /// How often what waits was looked through since.
    passes: usize,
}

struct Pass {
    instances: BTreeSet<InstanceId>,
    began: Duration,
    after: Position,
}

/// How many messages that wait are looked at in one go, and for how long in one round: what is due is taken in between.
const REACH: u32 = 2_000;
const LONGEST: Duration = Duration::from_millis(250);

/// What was on its way to be put off, at any process, when the instance returned has landed by then, most of it and all: all that
/// waits is looked through again each time.
const LANDED: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// So many times what the last pass took.
const REST: u32 = 4;

/// Another process may hear that an instance is connected: its row is asked so often.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Instances whose rows are asked at a time.
const ASKED_AT_ONCE: usize = 200;

impl Recalling {
    /// Lets those in that another process has heard of.
    ///
    /// # Errors
    /// When the database does not answer: the next round asks again.
    pub async fn ask(
        &mut self,
        admission: &Admission,
        instances: &dyn InstanceRepository,
        clock: &dyn Clock,
    ) -> Result<(), RepositoryError> {
        let now = clock.monotonic();
        if self.asked_at.is_some_and(|last| now.saturating_sub(last) < ASKED_EVERY) {
            return Ok(());
        }
        let away = admission.without_connection();
        if away.is_empty() {
            return Ok(());
        }
        self.asked_at = Some(now);
        let portion = next_portion(away, self.asked_up_to);
        let rows = try_join_all(portion.iter().map(|(instance, _)| instances.find_any(*instance))).await?;
        self.asked_up_to = portion.last().map(|(instance, _)| *instance);
        for ((id, since), row) in portion.into_iter().zip(rows) {
            let is_back = |status| status == ConnectionStatus::Connected;
            if row.is_some_and(|row| is_back(row.status) && row.updated_at > since) {
                admission.is_connected(id);
            }
        }
        Ok(())
    }

    /// Makes what waits of the instances that have returned due, some thousands at a time.
    ///
    /// # Errors
    /// When the database does not answer: the next round goes on.
    pub async fn recall(
        &mut self,
        admission: &Admission,
        due: &dyn DueMessages,
        clock: &dyn Clock,
    ) -> Result<(), RepositoryError> {
        let began = clock.monotonic();
        let fresh = |instance| (instance, Returned { noticed_at: began, passes: 0 });
        self.returned.extend(admission.returned().take().into_iter().map(fresh));
        while clock.monotonic().saturating_sub(began) < LONGEST {
            let Some(pass) = self.pass.as_mut() else {
                self.pass = self.next_pass(clock.monotonic()).filter(|pass| pass.began >= self.rests_until);
                if self.pass.is_none() {
                    break;
                }
                continue;
            };
            let instances = pass.instances.iter().copied().collect();
            let recall = Recall { instances, after: pass.after.clone(), reach: REACH, now: clock.now() };
            let recalled = due.recall(&recall).await?;
            if recalled.written > 0 {
                info!(messages = recalled.written, "made due: their instances are connected again");
            }
            match recalled.next {
                Some(next) => pass.after = next,
                None => self.end_pass(admission, clock.monotonic()),
            }
        }
        Ok(())
    }

    fn next_pass(&self, now: Duration) -> Option<Pass> {
        let is_wanted = |returned: &Returned| {
            let passed = now.saturating_sub(returned.noticed_at);
            returned.passes < 1 + LANDED.iter().filter(|landed| passed >= **landed).count()
        };
        let wanted = self.returned.iter().filter(|(_, returned)| is_wanted(returned));
        let instances: BTreeSet<InstanceId> = wanted.map(|(instance, _)| *instance).collect();
        (!instances.is_empty()).then(|| Pass { instances, began: now, after: Position::default() })
    }

    fn end_pass(&mut self, admission: &Admission, now: Duration) {
        let Some(Pass { instances, began, .. }) = self.pass.take() else { return };
        self.rests_until = now.saturating_add(now.saturating_sub(began) * REST);
        for instance in &instances {
            // One that returned again meanwhile begins anew.
            let Some(returned) = self.returned.get_mut(instance).filter(|it| it.noticed_at <= began) else { continue };
            returned.passes += 1;
        }
        self.returned.retain(|_, returned| returned.passes <= LANDED.len());
        admission.returned().are_recalled(instances, began);
    }
}

/// Those after the last that was asked, in order, and from the beginning again.
fn next_portion(mut away: Vec<(InstanceId, Timestamp)>, last: Option<InstanceId>) -> Vec<(InstanceId, Timestamp)> {
    away.sort_unstable_by_key(|(instance, _)| *instance);
    let asked = away.partition_point(|(instance, _)| last.is_some_and(|last| *instance <= last));
    away.rotate_left(asked);
    away.truncate(ASKED_AT_ONCE);
    away
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_of_many_instances_that_are_away_is_asked() {
        let away: Vec<_> = (0..450).rev().map(|id| (InstanceId(Uuid::from_u128(id)), Timestamp::UNIX_EPOCH)).collect();
        let (mut last, mut asked) = (None, BTreeSet::new());
        for _ in 0..3 {
            let portion = next_portion(away.clone(), last);
            assert!(portion.len() <= ASKED_AT_ONCE);
            last = portion.last().map(|(instance, _)| *instance);
            asked.extend(portion.into_iter().map(|(instance, _)| instance));
        }
        assert_eq!(asked.len(), 450);
    }
}
