use chrono::{DateTime, TimeDelta, Utc};

/// What befell a stage, and when: the only reasons that a duplicate may have.
#[derive(Default)]
pub struct Disturbances(Vec<Disturbance>);

struct Disturbance {
    what: String,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    /// By the story; else a process told of it.
    is_ours: bool,
}

/// For so long a call's outcome can be on its way to the database, or a slow answer on its way to us, when something dies.
const BEFORE: TimeDelta = TimeDelta::seconds(5);

/// For so long what was slow goes on being slow.
const AFTERWARDS: TimeDelta = TimeDelta::seconds(3);

impl Disturbances {
    /// Until now.
    pub fn note(&mut self, what: impl Into<String>, from: DateTime<Utc>) {
        self.0.push(Disturbance { what: what.into(), from, until: Utc::now(), is_ours: true });
    }

    /// That a process told of.
    pub fn hear(&mut self, what: impl Into<String>, from: DateTime<Utc>, until: DateTime<Utc>) {
        self.0.push(Disturbance { what: what.into(), from, until, is_ours: false });
    }

    /// What went on when this happened.
    pub fn at(&self, time: DateTime<Utc>) -> Option<&str> {
        let is_then = |one: &&Disturbance| one.from - BEFORE <= time && time <= one.until + AFTERWARDS;
        // What loses an answer, or keeps it from being recorded, goes on at the time or comes after it.
        let distance = |one: &Disturbance| {
            if time > one.until { BEFORE + (time - one.until) } else { (one.from - time).max(TimeDelta::zero()) }
        };
        let nearest = self.0.iter().filter(is_then).min_by_key(|one| (!one.is_ours, distance(one)));
        nearest.map(|one| one.what.as_str())
    }
}
