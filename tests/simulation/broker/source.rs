use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::*;

use super::member::Member;
use super::{OUTSIDE, PARTITIONS, ProcessId, SimBroker};

/// A process's member of the group.
pub struct SimSource {
    broker: SimBroker,
    process: ProcessId,
}

impl SimSource {
    pub fn new(broker: &SimBroker, process: ProcessId) -> Arc<Self> {
        broker.state().members.insert(process, Member::default());
        Arc::new(Self { broker: broker.clone(), process })
    }

    fn take(&self) -> Option<Arrival> {
        let now = self.broker.scheduler.now();
        let mut state = self.broker.state();
        let state = &mut *state;
        let is_away = state.is_away || state.withholds;
        let member = state.members.get_mut(&self.process)?;
        if let Some(event) = member.events.pop_front() {
            return Some(event);
        }
        if is_away {
            return None;
        }
        for (partition, position) in &mut member.position {
            if member.paused.contains(partition) {
                continue;
            }
            let records = state.partitions.get(partition)?;
            // What was finished of a topic that is gone may lie beyond the end of the one that came after it.
            if usize::try_from(*position).is_ok_and(|position| position > records.len()) {
                *position = 0;
            }
            let Some(stored) = usize::try_from(*position).ok().and_then(|index| records.get(index)) else { continue };
            if stored.visible_at > now {
                continue;
            }
            let offset = *position;
            *position += 1;
            return Some(Arrival::Record(Record {
                partition: *partition,
                offset,
                key: Some(stored.key.clone()),
                value: None,
                content: Ok(stored.call.clone()),
            }));
        }
        None
    }

    fn member(&self, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.broker.state().members.get_mut(&self.process) {
            change(member);
        }
    }
}

#[async_trait]
impl MessageSource for SimSource {
    async fn next(&self) -> Arrival {
        loop {
            if let Some(arrival) = self.take() {
                self.broker.scheduler.pass().await;
                return arrival;
            }
            self.broker.scheduler.sleep(Duration::from_millis(20)).await;
        }
    }

    fn pause(&self, partition: Partition) {
        self.member(|member| _ = member.paused.insert(partition));
    }

    fn resume(&self, partition: Partition) {
        self.member(|member| _ = member.paused.remove(&partition));
    }

    fn finished(&self, partition: Partition, offset: i64) {
        self.member(|member| {
            if member.position.contains_key(&partition) {
                member.finished.insert(partition, offset + 1);
            }
        });
    }

    fn has_joined(&self) -> bool {
        true
    }

    fn kept_out(&self) -> Option<KeptOut> {
        None
    }

    fn close(&self) {
        let broker = self.broker.clone();
        let process = self.process;
        // It gives up all at once: while one is drained, nothing more is taken from the others.
        self.member(|member| {
            member.is_closing = true;
            member.position.clear();
        });
        self.broker.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                for number in 0..PARTITIONS {
                    let owner = broker.state().owners.get(&Partition(number)).copied();
                    if owner == Some(process) {
                        broker.hand(Partition(number), OUTSIDE).await;
                    }
                }
                if let Some(member) = broker.state().members.get_mut(&process) {
                    member.events.push_back(Arrival::Closed);
                }
            }),
        );
    }
}
