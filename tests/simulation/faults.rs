//! What goes wrong, and how it is over.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use correio::application::messages::cancel_message::CancelMessage;

use super::broker::Trouble;
use super::channel::{LONGEST_TRY, Mood};
use super::healing::{Heal, Healing};
use super::process::{Mode, NODE_TIMEOUT, SimProcess};
use super::scenario::{Faults, World};
use super::scheduler::{OUTSIDE, ProcessId};
use super::weather::State;

impl World {
    /// Something goes wrong.
    pub fn fault(&mut self, healing: &mut Healing) {
        let over = self.scheduler.between(Duration::from_secs(1), Duration::from_secs(12));
        let now = self.scheduler.now();
        if self.options.faults == Faults::LostAnswers {
            if self.scheduler.chance(0.5) {
                self.say("the channel refuses some for now");
                self.channel.mood(Mood { transient: 0.4, ..Mood::default() });
                healing.after(now + over, Heal::Channel);
            }
            if let Some((after, heal)) = self.bad_weather() {
                healing.after(now + after, heal);
            }
            return;
        }
        if self.options.faults == Faults::SlowLooks {
            return self.look_slowly();
        }
        if self.options.faults == Faults::Sluggish {
            return self.sluggish_event(healing, over);
        }
        if self.options.retention.is_some() && self.scheduler.chance(0.3) {
            self.say("what is old is deleted, and an operator replays what failed");
            self.clients.delete_history();
            self.clients.replay();
            return;
        }
        let heal = match self.scheduler.draw(|rng| rng.u32(0..24)) {
            22..=23 => {
                self.say("the second instance hangs");
                self.channel.mood(Mood { second_hangs: true, ..Mood::default() });
                Some((over, Heal::Channel))
            }
            0..=3 => self.kill(),
            4 => self.stop_in_good_order(),
            5..=6 => self.freeze(),
            7 => self.jump(),
            8 | 18..=19 => self.bad_weather(),
            9 => self.database_goes_away(over),
            20..=21 => self.database_crashes(over),
            10 => {
                self.say(format!("Kafka goes away for {over:?}"));
                self.around.broker.go_away(true);
                Some((over, Heal::Broker))
            }
            11 => self.kafka_has_trouble(over),
            12 => {
                self.say("the topic is lost");
                self.around.broker.lose_topic();
                None
            }
            13 => {
                self.say("a partition moves");
                self.moves_in_delivery += usize::from(self.around.broker.rebalance() && !self.busy().is_empty());
                None
            }
            14..=15 => {
                self.say("the channel has a bad day");
                self.channel.mood(Mood {
                    transient: 0.2,
                    permanent: 0.2,
                    request_lost: 0.1,
                    answer_lost: 0.1,
                    slow: 0.3,
                    panics: 0.05,
                    second_hangs: false,
                });
                Some((over, Heal::Channel))
            }
            _ => {
                self.say("an operator replays what failed");
                self.clients.replay();
                None
            }
        };
        if let Some((after, heal)) = heal {
            healing.after(now + after, heal);
        }
    }

    /// What an operator does on an ordinary day.
    pub fn calm_event(&mut self, healing: &mut Healing) {
        let now = self.scheduler.now();
        match self.scheduler.draw(|rng| rng.u32(0..5)) {
            4 => {
                self.say("the second instance hangs");
                self.channel.mood(Mood { second_hangs: true, ..Mood::default() });
                healing.after(now + Duration::from_secs(5), Heal::Channel);
            }
            0 => {
                // Another one first, so that somebody is there.
                self.start_process();
                self.stop_in_good_order();
            }
            1 => {
                self.say("a partition moves");
                self.around.broker.rebalance();
            }
            2 => {
                self.say("the channel is slow, and refuses some for now");
                self.channel.mood(Mood { transient: 0.2, permanent: 0.05, slow: 0.5, ..Mood::default() });
                healing.after(now + Duration::from_secs(5), Heal::Channel);
            }
            _ => {}
        }
    }

    /// All are in bad weather most of the time.
    fn sluggish_event(&mut self, healing: &mut Healing, over: Duration) {
        let heal = match self.scheduler.draw(|rng| rng.u32(0..8)) {
            0 => self.stop_in_good_order(),
            1 => {
                self.say("an operator replays what failed");
                self.clients.replay();
                None
            }
            2 => {
                self.say("the channel refuses some for good");
                self.channel.mood(Mood { permanent: 0.6, ..Mood::default() });
                Some((over, Heal::Channel))
            }
            _ => {
                self.say("all lose requests and answers of the database");
                for process in self.clients.processes.lock().unwrap().iter() {
                    process.weather.change(self.options.weather);
                }
                Some((over, Heal::Weather))
            }
        };
        if let Some((after, heal)) = heal {
            healing.after(self.scheduler.now() + after, heal);
        }
    }

    /// Some lose requests, so that their names get old; others learn late of what they see. All do until there is peace.
    fn look_slowly(&mut self) {
        for process in self.clients.processes.lock().unwrap().iter() {
            let is_slow = self.scheduler.chance(0.5);
            let state = if is_slow {
                State { slow: 0.5, ..State::default() }
            } else {
                State { lost: 0.4, slow: 0.2, ..State::default() }
            };
            self.say(format!("{:?} {}", process.id, if is_slow { "gets late answers" } else { "loses requests" }));
            process.weather.change(state);
        }
    }

    /// Nothing else is wrong.
    pub fn hang(&mut self, healing: &mut Healing) {
        self.say("the second instance hangs");
        self.channel.mood(Mood { second_hangs: true, ..Mood::default() });
        healing.after(self.scheduler.now() + Duration::from_secs(12), Heal::Channel);
    }

    pub fn heal(&mut self, heal: Heal) {
        match heal {
            Heal::Start => self.start_process(),
            Heal::Thaw(id) => {
                self.say(format!("{id:?} thaws"));
                self.scheduler.thaw(id);
            }
            Heal::Weather => {
                for process in self.clients.processes.lock().unwrap().iter().chain(&self.stopping) {
                    process.weather.change(State::default());
                }
            }
            Heal::Database => {
                self.say("the database answers again");
                self.around.outage.set(false);
            }
            Heal::Broker => {
                self.around.broker.go_away(false);
                self.around.broker.trouble(Trouble::default());
            }
            Heal::Channel => self.channel.mood(Mood::default()),
        }
    }

    pub fn start_process(&mut self) {
        let mode = match self.options.mode {
            Some(mode) => mode,
            None if self.scheduler.chance(0.75) => Mode::Kafka,
            None => Mode::Direct,
        };
        let process = SimProcess::start(&self.around, mode);
        self.say(format!("{:?} starts, {mode:?}", process.id));
        self.clients.processes.lock().unwrap().push(process);
    }

    pub fn kill(&mut self) -> Option<(Duration, Heal)> {
        let process = self.take_any()?;
        self.say(format!("{:?} is killed", process.id));
        self.kills_in_delivery += usize::from(self.busy().contains(&process.id));
        self.scheduler.kill(process.id);
        self.around.broker.forget(process.id);
        self.around.chronicle.interrupted(Some(process.id), self.scheduler.now(), Duration::MAX);
        Some((self.scheduler.between(Duration::ZERO, Duration::from_secs(6)), Heal::Start))
    }

    fn stop_in_good_order(&mut self) -> Option<(Duration, Heal)> {
        let mut process = self.take_any()?;
        self.say(format!("{:?} is stopped in good order", process.id));
        process.stop();
        self.stopping.push(process);
        Some((Duration::from_secs(1), Heal::Start))
    }

    fn freeze(&mut self) -> Option<(Duration, Heal)> {
        let index = self.any()?;
        let id = self.clients.processes.lock().unwrap()[index].id;
        let over = self.scheduler.between(NODE_TIMEOUT / 2, NODE_TIMEOUT * 4);
        self.say(format!("{id:?} freezes for {over:?}"));
        self.scheduler.freeze(id);
        let now = self.scheduler.now();
        self.around.chronicle.interrupted(Some(id), now, now + over);
        Some((over, Heal::Thaw(id)))
    }

    fn jump(&mut self) -> Option<(Duration, Heal)> {
        let index = self.any()?;
        let jump = self.scheduler.draw(|rng| rng.i64(-60_000..60_000));
        let process = &self.clients.processes.lock().unwrap()[index];
        self.say(format!("the wall clock of {:?} jumps by {jump} ms", process.id));
        process.wall_clock.store(jump, Ordering::Relaxed);
        None
    }

    pub fn bad_weather(&mut self) -> Option<(Duration, Heal)> {
        let index = self.any()?;
        let process = &self.clients.processes.lock().unwrap()[index];
        self.say(format!("{:?} loses requests and answers of the database", process.id));
        process.weather.change(self.options.weather);
        Some((self.scheduler.between(Duration::from_secs(1), Duration::from_secs(12)), Heal::Weather))
    }

    pub fn database_goes_away(&mut self, over: Duration) -> Option<(Duration, Heal)> {
        let now = self.scheduler.now();
        self.say(format!("the database goes away for {over:?}"));
        self.around.outage.set(true);
        self.around.chronicle.interrupted(None, now, now + over);
        Some((over, Heal::Database))
    }

    /// It comes back by itself, most often soon: before anybody's name is lost, or can be watched.
    fn database_crashes(&mut self, over: Duration) -> Option<(Duration, Heal)> {
        let soon = self.scheduler.between(Duration::from_millis(50), Duration::from_secs(1));
        let over = if self.scheduler.chance(0.7) { soon } else { over };
        // Who delivers slowly is still at it when the database answers again.
        let is_slow = self.scheduler.chance(0.4);
        if is_slow {
            self.channel.mood(Mood { slow: 0.7, ..Mood::default() });
        }
        if self.scheduler.chance(0.7) {
            let (database, end) = (self.around.database.clone(), self.scheduler.now() + Duration::from_secs(2));
            self.scheduler.run_while(end, || database.at_risk() > 0);
            self.scheduler.run_steps(self.scheduler.draw(|rng| rng.usize(0..10)));
        }
        let now = self.scheduler.now();
        let taken_back = self.around.database.crash();
        self.around.chronicle.changed(self.around.database.lengths(), now);
        self.say(format!("the database crashes, takes back {} claims, and is away for {over:?}", taken_back.len()));
        self.around.outage.dies();
        self.around.chronicle.interrupted(None, now, now + over);
        let delivers = |node| self.around.chronicle.process_of(node).is_some_and(|it| self.scheduler.lives(it));
        self.crashes_in_delivery += usize::from(taken_back.iter().any(|(_, node)| delivers(*node)));
        let (scheduler, outage) = (self.scheduler.clone(), self.around.outage.clone());
        let (chronicle, database) = (self.around.chronicle.clone(), self.around.database.clone());
        let comes_back = async move {
            scheduler.sleep(over).await;
            chronicle.say(scheduler.now(), "the database is up again");
            outage.set(false);
            scheduler.sleep(CancelMessage::claims_in_doubt(NODE_TIMEOUT, LONGEST_TRY)).await;
            database.end_doubt();
        };
        self.scheduler.spawn(OUTSIDE, Box::pin(comes_back));
        is_slow.then_some((over, Heal::Channel))
    }

    fn kafka_has_trouble(&mut self, over: Duration) -> Option<(Duration, Heal)> {
        self.say("Kafka refuses, drops, delays, repeats and reorders");
        self.around.broker.trouble(Trouble {
            refused: 0.1,
            report_is_error: 0.1,
            error_although_appended: 0.1,
            dropped: 0.1,
            delayed: 0.2,
            repeated: 0.1,
            reordered: 0.2,
        });
        Some((over, Heal::Broker))
    }

    /// The place of one among the processes; most often of one that is delivering, if there is one.
    fn any(&self) -> Option<usize> {
        let processes: Vec<ProcessId> = self.clients.processes.lock().unwrap().iter().map(|it| it.id).collect();
        let busy = self.busy();
        let busy: Vec<usize> = (0..processes.len()).filter(|index| busy.contains(&processes[*index])).collect();
        if !busy.is_empty() && self.scheduler.chance(0.7) {
            return Some(busy[self.scheduler.draw(|rng| rng.usize(0..busy.len()))]);
        }
        (!processes.is_empty()).then(|| self.scheduler.draw(|rng| rng.usize(0..processes.len())))
    }

    /// Those that are delivering, as far as the rows say.
    fn busy(&self) -> BTreeSet<ProcessId> {
        let owners = self.around.database.delivering();
        owners.into_iter().filter_map(|node| self.around.chronicle.process_of(node)).collect()
    }

    fn take_any(&mut self) -> Option<SimProcess> {
        let index = self.any()?;
        Some(self.clients.processes.lock().unwrap().remove(index))
    }

    pub fn say(&self, what: impl Into<String>) {
        self.around.chronicle.say(self.scheduler.now(), what);
    }
}
