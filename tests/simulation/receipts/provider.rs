//! The channel's provider: reports what became of what it took, in any order, more than once, at any process, until one has
//! taken the report.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use correio::application::ports::Tasks;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::MessageId;
use correio::domain::receipt::ReceiptStatus;
use futures::channel::oneshot;
use serde_json::json;

use crate::simulation::channel::{Provider, Taken};
use crate::simulation::process::SimProcess;
use crate::simulation::scheduler::{OUTSIDE, Scheduler};

/// A receipt, as the provider knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub message: MessageId,
    /// By which the channel knows the message.
    pub name: String,
    /// How often the message had been replayed when the channel took it.
    pub run: u32,
    pub status: ReceiptStatus,
    /// With our own id of the message.
    pub has_our_id: bool,
    /// When it was first said.
    pub at: Duration,
    /// When a process answered that it has it.
    pub taken_at: Option<Duration>,
}

#[derive(Clone)]
pub struct SimProvider {
    pub scheduler: Scheduler,
    pub processes: Arc<Mutex<Vec<SimProcess>>>,
    pub said: Arc<Mutex<Vec<Said>>>,
    /// Reports that no process has taken yet.
    pub open: Arc<AtomicUsize>,
}

impl SimProvider {
    pub fn new(scheduler: Scheduler, processes: Arc<Mutex<Vec<SimProcess>>>) -> Self {
        Self { scheduler, processes, said: Arc::default(), open: Arc::default() }
    }

    fn draw_what_becomes_of(&self, taken: &Taken) {
        let &Taken { message, instance, run, has_our_id, .. } = taken;
        let chances = match self.scheduler.draw(|rng| rng.u32(0..10)) {
            0 => [0.0; 4],
            1..=2 => [0.3, 0.0, 0.0, 1.0],
            _ => [0.3, 0.8, 0.5, 0.0],
        };
        for (status, chance) in ReceiptStatus::ALL.into_iter().zip(chances) {
            if !self.scheduler.chance(chance) {
                continue;
            }
            let number = {
                let mut said = self.said.lock().unwrap();
                let (name, at) = (taken.name.clone(), Duration::MAX);
                said.push(Said { message, name, run, status, has_our_id, at, taken_at: None });
                said.len() - 1
            };
            for again in [1.0, 0.3] {
                if self.scheduler.chance(again) {
                    self.report(number, instance);
                }
            }
        }
    }

    /// Some time, most often soon.
    fn report(&self, number: usize, instance: InstanceId) {
        let provider = self.clone();
        self.open.fetch_add(1, Ordering::Relaxed);
        let longest = [50, 50, 2_000, 20_000][self.scheduler.draw(|rng| rng.usize(0..4))];
        let pause = self.scheduler.between(Duration::ZERO, Duration::from_millis(longest));
        self.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                provider.scheduler.sleep(pause).await;
                while !provider.is_taken(number, instance).await {
                    let pause = provider.scheduler.between(Duration::from_millis(100), Duration::from_secs(2));
                    provider.scheduler.sleep(pause).await;
                }
                provider.open.fetch_sub(1, Ordering::Relaxed);
            }),
        );
    }

    /// One report; false when its answer did not come, or said to come again.
    async fn is_taken(&self, number: usize, instance: InstanceId) -> bool {
        let one = {
            let mut said = self.said.lock().unwrap();
            said[number].at = said[number].at.min(self.scheduler.now());
            said[number].clone()
        };
        let somebody = {
            let processes = self.processes.lock().unwrap();
            let index = (!processes.is_empty()).then(|| self.scheduler.draw(|rng| rng.usize(0..processes.len())));
            index.map(|index| (processes[index].tasks.clone(), processes[index].gateway.clone()))
        };
        let Some((tasks, gateway)) = somebody else { return false };
        let our_id = one.has_our_id.then(|| one.message.to_string());
        let body = json!({ "id": one.name, "status": one.status.as_str(), "ours": our_id }).to_string();
        let (answer, answered) = oneshot::channel();
        tasks.spawn(Box::pin(async move {
            let of: Instance = match gateway.events.instances.find_any(instance).await {
                Ok(Some(of)) => of,
                _ => return,
            };
            let _ = answer.send(gateway.events.take(of, body.as_bytes()).await);
        }));
        let is_taken = matches!(answered.await, Ok(Ok(())));
        if is_taken {
            let taken_at = &mut self.said.lock().unwrap()[number].taken_at;
            taken_at.get_or_insert(self.scheduler.now());
        }
        is_taken
    }
}

impl Provider for SimProvider {
    fn has_taken(&self, taken: Taken) {
        self.draw_what_becomes_of(&taken);
    }
}
