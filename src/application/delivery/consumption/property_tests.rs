use proptest::prelude::*;

use super::scene::*;
use super::*;
use crate::application::ports::Clock;

#[derive(Clone, Debug)]
enum Step {
    Arrive { partition: i32, key: u8 },
    Begin,
    Claim { which: usize },
    Call { which: usize },
    End { which: usize, is_done: bool },
    Pass(u64),
    GiveUp(i32),
    Assign(i32),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3i32, 0..4u8).prop_map(|(partition, key)| Step::Arrive { partition, key }),
        4 => Just(Step::Begin),
        2 => any::<usize>().prop_map(|which| Step::Claim { which }),
        1 => any::<usize>().prop_map(|which| Step::Call { which }),
        3 => (any::<usize>(), proptest::bool::weighted(0.95)).prop_map(|(which, is_done)| Step::End { which, is_done }),
        2 => (0..7u64).prop_map(Step::Pass),
        1 => (0..3i32).prop_map(Step::GiveUp),
        1 => (0..3i32).prop_map(Step::Assign),
    ]
}

/// What is under way, and what has become of what was.
#[derive(Default)]
struct Played {
    running: Vec<Job>,
    /// Whose records may count as finished.
    finished: std::collections::HashSet<(Partition, i64)>,
    /// The last record of each key that was begun, by partition.
    last: HashMap<(Partition, Vec<u8>), i64>,
    next_offset: [i64; 3],
}

impl Played {
    fn begin(&mut self, scene: &mut Scene) -> Result<bool, TestCaseError> {
        let Some(job) = scene.begin() else { return Ok(false) };
        let (lane, offset) = (job.lane.clone().unwrap(), job.record.offset);
        let last = self.last.insert((job.record.partition, lane), offset);
        prop_assert!(last.is_none_or(|last| last < offset), "{offset} after {last:?}");
        self.running.push(job);
        Ok(true)
    }

    fn end(&mut self, scene: &mut Scene, which: usize, is_done: bool) -> Result<(), TestCaseError> {
        let job = self.running.swap_remove(which % self.running.len());
        let end = match &job.task {
            _ if !is_done => End::Left,
            Task::PutOff { wait, not_before } => {
                let until = scene.clock.now() + wait.pause.unwrap_or(Duration::from_secs(10));
                End::PutOff(not_before.map_or(until, |not_before| until.max(not_before)))
            }
            _ => End::Done,
        };
        if is_done {
            self.finished.insert((job.record.partition, job.record.offset));
        }
        let said = scene.ended(job, end);
        self.hear(&said)
    }

    fn hear(&self, said: &[Consequence]) -> Result<(), TestCaseError> {
        for consequence in said {
            if let Consequence::Finished(partition, upto) = consequence {
                prop_assert!(self.finished.contains(&(*partition, *upto)));
            }
        }
        Ok(())
    }

    fn step(&mut self, scene: &mut Scene, step: Step) -> Result<(), TestCaseError> {
        let is_assigned = |scene: &Scene, partition| scene.consumption.current.contains_key(&Partition(partition));
        match step {
            Step::Assign(partition) if !is_assigned(scene, partition) => scene.assigned(&[Partition(partition)]),
            Step::GiveUp(partition) => scene.give_up(&[Partition(partition)]),
            Step::Arrive { partition, key } if is_assigned(scene, partition) => {
                let offset = &mut self.next_offset[usize::try_from(partition).unwrap()];
                let record = record_of((key % 2).into(), Partition(partition), *offset);
                *offset += 1;
                // A key is always in the same partition.
                scene.arrived(record, Some(vec![key, u8::try_from(partition).unwrap()]));
            }
            Step::Begin => _ = self.begin(scene)?,
            Step::Pass(seconds) => {
                let said = scene.pass(seconds);
                self.hear(&said)?;
            }
            Step::End { which, is_done } if !self.running.is_empty() => self.end(scene, which, is_done)?,
            Step::Claim { which } if !self.running.is_empty() => {
                let job = &self.running[which % self.running.len()];
                job.is_claimed.store(true, Ordering::Relaxed);
                self.finished.insert((job.record.partition, job.record.offset));
            }
            Step::Call { which } if !self.running.is_empty() => scene.called(&self.running[which % self.running.len()]),
            _ => {}
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn whatever_happens_keys_are_alone_and_in_order_and_nothing_unfinished_is_called_finished(
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let mut scene = Scene::sharing(limits(3, 12), 2);
        let mut played = Played::default();
        for step in steps {
            played.step(&mut scene, step)?;
            let delivered = played.running.iter().filter(|job| job.task == Task::Deliver);
            let mut keys: Vec<_> = delivered.map(|job| job.lane.clone()).collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), count, "two of one key at once");
        }
        loop {
            while played.begin(&mut scene)? {}
            if played.running.is_empty() {
                break;
            }
            played.end(&mut scene, 0, true)?;
        }
        scene.pass(100);
        prop_assert!(scene.begin().is_none());
        let Consumption { lanes, blocked, put_off, .. } = &scene.consumption;
        prop_assert!(scene.consumption.is_idle() && lanes.is_empty() && blocked.is_empty() && put_off.is_empty());
    }
}
