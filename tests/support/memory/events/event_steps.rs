use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{BYTES_AT_ONCE, DueStep, EventSteps, FinishedStep, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::event::{EventStatus, Step};

use super::event_tables::OpenStep;
use crate::support::memory::database::MemoryDatabase;
use crate::support::memory::tables::Tables;

#[derive(Clone)]
pub struct MemoryEventSteps {
    database: MemoryDatabase,
}

impl MemoryEventSteps {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl EventSteps for MemoryEventSteps {
    async fn take(
        &self,
        step: Step,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<DueStep>, RepositoryError> {
        let take = move |tables: &mut Tables| Ok(take(tables, step, limit, lease, now));
        self.database.run("event_steps.take", take).await
    }

    async fn call_in(&self, step: Step, later_than: Timestamp, now: Timestamp) -> Result<u64, RepositoryError> {
        let call_in = move |tables: &mut Tables| {
            let steps = tables.of_events.steps.iter_mut();
            let late = steps.filter(|((_, kind), it)| *kind == step && !it.is_dead && it.due_at > later_than);
            Ok(late.map(|(_, it)| it.due_at = now).count() as u64)
        };
        self.database.run("event_steps.call_in", call_in).await
    }

    async fn finish(
        &self,
        finished: &[FinishedStep],
        now: Timestamp,
    ) -> Result<Vec<Option<EventStatus>>, RepositoryError> {
        let finished = finished.to_vec();
        let finish = move |tables: &mut Tables| {
            tables.sync();
            let ended = finished.iter();
            Ok(ended.map(|it| tables.of_events.finish((it.event, it.step), it.tries, &it.result, now)).collect())
        };
        self.database.run("event_steps.finish", finish).await
    }
}

fn take(tables: &mut Tables, step: Step, limit: u32, lease: Duration, now: Timestamp) -> Vec<DueStep> {
    let events = &mut tables.of_events;
    let is_due = events.steps.iter().filter(|((_, kind), it)| *kind == step && !it.is_dead && it.due_at <= now);
    let mut due: Vec<_> = is_due.map(|((event, _), it)| (it.due_at, *event, it.lost > 0)).collect();
    due.sort();
    let was_lost = due.first().is_some_and(|(_, _, was_lost)| *was_lost);
    due.retain(|(_, _, other)| *other == was_lost);
    due.truncate(if was_lost { 1 } else { limit as usize });
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for (_, id, _) in due {
        let Some(event) = events.events.get(&id).filter(|_| bytes < BYTES_AT_ONCE) else { continue };
        bytes += event.data.len() as u64;
        let is_new = matches!(event.status, EventStatus::Received | EventStatus::Failed);
        let mut event = event.clone();
        event.status = EventStatus::Processing;
        let Some(open) = events.steps.get_mut(&(id, step)) else { continue };
        let OpenStep { failures, lost, resend, .. } = *open;
        (open.due_at, open.tries, open.lost) = (now + lease, open.tries + 1, lost + 1);
        taken.push(DueStep { event, step, tries: open.tries, failures, lost, resend });
        if is_new {
            events.move_one(id, EventStatus::Processing, Some(step), None, None, now);
        }
    }
    taken.sort_by_key(|it| it.event.id);
    taken
}
