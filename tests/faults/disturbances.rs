use chrono::{DateTime, TimeDelta, Utc};

/// What befell a stage, and when: the only reasons that a duplicate may have.
#[derive(Default)]
pub struct Disturbances(Vec<Disturbance>);

struct Disturbance {
    what: String,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
}

/// A call that was answered this long before can still be unrecorded when something dies, and what was slowed down goes on
/// being slow for as long afterwards.
const MARGIN: TimeDelta = TimeDelta::seconds(3);

impl Disturbances {
    /// Until now.
    pub fn note(&mut self, what: impl Into<String>, from: DateTime<Utc>) {
        self.note_until(what, from, Utc::now());
    }

    pub fn note_until(&mut self, what: impl Into<String>, from: DateTime<Utc>, until: DateTime<Utc>) {
        self.0.push(Disturbance { what: what.into(), from, until });
    }

    /// What went on when this happened.
    pub fn at(&self, time: DateTime<Utc>) -> Option<&str> {
        let is_then = |one: &&Disturbance| one.from - MARGIN <= time && time <= one.until + MARGIN;
        // The nearest that began before, so that what is told is the cause and not what came after it.
        let began_last = self.0.iter().filter(is_then).max_by_key(|one| (one.from <= time, one.from));
        began_last.map(|one| one.what.as_str())
    }
}
