use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::instance::{ConnectionStatus, InstanceId};

/// What was last written of the connections of instances, and when. Copies share it.
#[derive(Clone, Default)]
pub struct NotedConnections(Arc<Mutex<HashMap<InstanceId, Noted>>>);

struct Noted {
    /// By the monotonic clock.
    at: Duration,
    written: ConnectionStatus,
    /// What has come since, and is written when the pause is over.
    waiting: Option<ConnectionStatus>,
}

/// What is to be done about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noting {
    /// To be written.
    Now,
    Known,
    /// [The last](NotedConnections::last) is to be written after this long.
    In(Duration),
    /// Something else has waited already.
    IsWaiting,
}

/// Some providers report hundreds a minute.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// More instances that write within a second are not kept apart.
const MOST_NOTED: usize = 10_000;

impl NotedConnections {
    /// What is to be done about a status that was reported of an instance whose row, when it was read, had another or the same.
    pub fn note(
        &self,
        instance: InstanceId,
        read: ConnectionStatus,
        status: ConnectionStatus,
        now: Duration,
    ) -> Noting {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |noted: &Noted| now.saturating_sub(noted.at) < SHORTEST_PAUSE;
        match noted.get_mut(&instance).filter(|noted| is_recent(noted) || noted.waiting.is_some()) {
            // The row that was read may be older than what was just written.
            Some(recent) if recent.waiting.unwrap_or(recent.written) == status => Noting::Known,
            Some(recent) => match recent.waiting.replace(status) {
                Some(_) => Noting::IsWaiting,
                None => Noting::In(SHORTEST_PAUSE.saturating_sub(now.saturating_sub(recent.at))),
            },
            None if read == status => Noting::Known,
            None => {
                if noted.len() >= MOST_NOTED {
                    noted.retain(|_, noted| is_recent(noted) || noted.waiting.is_some());
                }
                noted.insert(instance, Noted { at: now, written: status, waiting: None });
                Noting::Now
            }
        }
    }

    /// What could not be written.
    pub fn forget(&self, instance: InstanceId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&instance);
    }

    /// What has waited, which counts as written now.
    pub fn last(&self, instance: InstanceId, now: Duration) -> Option<ConnectionStatus> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = noted.get_mut(&instance)?;
        let status = noted.waiting.take()?;
        *noted = Noted { at: now, written: status, waiting: None };
        Some(status)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::instance::ConnectionStatus::{Connected, Connecting, Disconnected};

    const INSTANCE: InstanceId = InstanceId(Uuid::nil());

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn the_last_of_several_within_a_second_is_written_after_it() {
        let noted = NotedConnections::default();
        assert_eq!(noted.note(INSTANCE, Connected, Connecting, ms(0)), Noting::Now);
        // The row was read before that was written.
        assert_eq!(noted.note(INSTANCE, Connected, Disconnected, ms(50)), Noting::In(ms(950)));
        assert_eq!(noted.note(INSTANCE, Connected, Connected, ms(100)), Noting::IsWaiting);
        assert_eq!(noted.note(INSTANCE, Connected, Connected, ms(200)), Noting::Known);
        // Late, as whoever writes it may be.
        assert_eq!(noted.note(INSTANCE, Connecting, Connected, ms(1_500)), Noting::Known);
        assert_eq!(noted.last(INSTANCE, ms(1_600)), Some(Connected));
        assert_eq!(noted.last(INSTANCE, ms(1_600)), None);
        assert_eq!(noted.note(INSTANCE, Connecting, Connected, ms(1_700)), Noting::Known);
        assert_eq!(noted.note(INSTANCE, Connected, Disconnected, ms(2_600)), Noting::Now);
    }

    #[test]
    fn what_is_known_is_not_written_and_what_could_not_be_written_is_news_again() {
        let noted = NotedConnections::default();
        assert_eq!(noted.note(INSTANCE, Connected, Connected, ms(0)), Noting::Known);
        assert_eq!(noted.note(INSTANCE, Connected, Disconnected, ms(0)), Noting::Now);
        noted.forget(INSTANCE);
        assert_eq!(noted.note(INSTANCE, Connected, Disconnected, ms(10)), Noting::Now);
    }
}
