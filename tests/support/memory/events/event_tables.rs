use std::collections::BTreeMap;

use correio::application::ports::{EventCounts, NewEvent, StoredEvent};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::event::history::LONGEST_HISTORY;
use correio::domain::event::step::Remaining;
use correio::domain::event::{Event, EventId, EventStatus, HistoryEntry, Step, StepResult};

/// What is stored of events.
#[derive(Default)]
pub struct EventTables {
    pub events: BTreeMap<EventId, Event>,
    pub keys: BTreeMap<(Tenant, String, String), (EventId, Timestamp)>,
    pub history: BTreeMap<EventId, Vec<HistoryEntry>>,
    pub steps: BTreeMap<(EventId, Step), OpenStep>,
}

pub struct OpenStep {
    pub is_dead: bool,
    pub due_at: Timestamp,
    pub tries: u32,
    pub failures: u32,
    pub lost: u32,
    pub resend: bool,
}

impl EventTables {
    pub fn store(&mut self, new: NewEvent) -> StoredEvent {
        let NewEvent { event, remembered_until, steps } = new;
        let place = event.key.clone().map(|key| (event.tenant.clone(), event.source.clone(), key));
        let first = place.as_ref().and_then(|place| self.keys.get(place));
        if let Some((first, _)) = first.filter(|(_, until)| *until > event.received_at) {
            return StoredEvent::Repeated(self.events.get(first).cloned().map(Box::new));
        }
        if let Some(place) = place {
            self.keys.insert(place, (event.id, remembered_until));
        }
        if let Some(there) = self.events.get(&event.id) {
            return StoredEvent::Repeated(Some(Box::new(there.clone())));
        }
        for step in steps {
            let open =
                OpenStep { is_dead: false, due_at: event.received_at, tries: 0, failures: 0, lost: 0, resend: false };
            self.steps.insert((event.id, step), open);
        }
        self.tell(event.id, event.status, None, event.received_at, event.via.clone());
        self.events.insert(event.id, event);
        StoredEvent::New
    }

    pub fn tell(
        &mut self,
        id: EventId,
        status: EventStatus,
        step: Option<Step>,
        at: Timestamp,
        reason: Option<String>,
    ) {
        let lines = self.history.entry(id).or_default();
        if lines.len() < LONGEST_HISTORY as usize || status.is_at_its_end() {
            lines.push(HistoryEntry { status, step, at, reason });
        }
    }

    pub fn move_one(
        &mut self,
        id: EventId,
        to: EventStatus,
        step: Option<Step>,
        reason: Option<String>,
        error: Option<String>,
        now: Timestamp,
    ) {
        let Some(event) = self.events.get_mut(&id) else { return };
        event.error = match to {
            EventStatus::Received | EventStatus::Processed => None,
            _ => error.or(event.error.take()),
        };
        (event.status, event.updated_at) = (to, now);
        self.tell(id, to, step, now, reason);
    }

    pub fn finish(
        &mut self,
        place: (EventId, Step),
        tries: u32,
        result: &StepResult,
        now: Timestamp,
    ) -> Option<EventStatus> {
        let open = self.steps.get_mut(&place).filter(|open| !open.is_dead && open.tries == tries)?;
        open.lost = 0;
        open.resend &= matches!(result, StepResult::PutOff { .. });
        match result {
            StepResult::Done { .. } => drop(self.steps.remove(&place)),
            StepResult::Again { at, has_failed, .. } => {
                (open.due_at, open.failures) = (*at, open.failures + u32::from(*has_failed));
            }
            StepResult::PutOff { at, .. } => open.due_at = *at,
            StepResult::Dead { .. } => open.is_dead = true,
        }
        let of_it = self.steps.range((place.0, Step::Route)..).take_while(|((event, _), _)| *event == place.0);
        let mut remaining = Remaining::default();
        for (_, open) in of_it {
            if open.is_dead { remaining.dead += 1 } else { remaining.open += 1 }
        }
        let to = result.leaves(remaining);
        let reason = result.reason().map(str::to_owned);
        let error = reason.clone().filter(|_| result.has_failed());
        let lines = self.history.get(&place.0);
        let last = lines.and_then(|lines| lines.iter().rfind(|line| line.step == Some(place.1)));
        let is_told = last.is_some_and(|line| (line.status, &line.reason) == (to, &reason));
        let is_same = self.events.get(&place.0).is_some_and(|event| event.status == to);
        if !(result.waits() && is_told && is_same) {
            self.move_one(place.0, to, Some(place.1), reason, error, now);
        }
        Some(to)
    }

    pub fn delete(&mut self, id: EventId) {
        self.events.remove(&id);
        self.history.remove(&id);
        self.steps.retain(|(event, _), _| *event != id);
    }

    pub fn count(&self, tenant: &Tenant) -> EventCounts {
        let mut counts = EventCounts::default();
        for event in self.events.values().filter(|event| event.tenant == *tenant) {
            counts.add(event.status, event.kind.clone(), 1);
        }
        counts
    }
}
