//! Which breakers are open, as this process knows it: in memory, without I/O.

use std::collections::HashMap;
use std::time::Duration;

use crate::application::ports::BreakerRow;
use crate::domain::Timestamp;
use crate::domain::instance::breaker::{BreakerOf, BreakerState};

/// Read about once a second, and changed at once by what this process itself does.
#[derive(Default)]
pub struct View {
    open: HashMap<BreakerOf, Known>,
    /// What this process changes, or has changed since it last read: what was read is older.
    own: HashMap<BreakerOf, Own>,
}

/// As people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBreaker {
    pub state: BreakerState,
    /// When it opened.
    pub since: Timestamp,
    pub reason: String,
    pub disabled_at: Option<Timestamp>,
}

struct Known {
    breaker: OpenBreaker,
    /// No probe before, by the monotonic clock.
    probe_at: Duration,
    /// How long the one under way may take, at whatever process.
    probing_until: Duration,
    /// One message here is about to ask for the probe.
    is_asking: bool,
    /// How many come back for the next one.
    scouts: u32,
}

#[derive(Default)]
struct Own {
    writes: u32,
    /// When the last one was answered, by the monotonic clock.
    ended: Duration,
}

/// So many messages of this process come back for a probe: one makes it, and if that has been cancelled, or its process has
/// died, another one.
const SCOUTS: u32 = 3;

/// A probe's time that moves by less is the same, read by another clock.
const SAME: Duration = Duration::from_secs(1);

const DISABLED: &str = "The instance is disabled, because it has failed for so long (DISABLE_AFTER): mend it, and change it (PATCH) to \
                        let it in again.";

impl View {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn has(&self, of: &BreakerOf) -> bool {
        self.open.contains_key(of)
    }

    pub fn shown(&self, of: &BreakerOf) -> Option<&OpenBreaker> {
        self.open.get(of).map(|known| &known.breaker)
    }

    /// So many of them, those first that opened first.
    pub fn oldest(&self, most: usize) -> Vec<(BreakerOf, OpenBreaker)> {
        let mut all: Vec<_> = self.open.iter().collect();
        all.sort_unstable_by_key(|(of, known)| (known.breaker.since, *of));
        all.truncate(most);
        all.into_iter().map(|(of, known)| (of.clone(), known.breaker.clone())).collect()
    }

    /// Whether no call may be made now, be it a probe.
    pub fn bars(&self, of: &BreakerOf, now: Duration) -> bool {
        self.open.get(of).is_some_and(|known| {
            let waits = now < known.probe_at || now < known.probing_until;
            known.breaker.disabled_at.is_some() || known.is_asking || waits
        })
    }

    pub fn asks(&mut self, of: &BreakerOf, is_asking: bool) {
        if let Some(known) = self.open.get_mut(of) {
            known.is_asking = is_asking;
        }
    }

    /// A sentence for people.
    pub fn reason(&self, of: &BreakerOf) -> Option<String> {
        let breaker = &self.open.get(of)?.breaker;
        if breaker.disabled_at.is_some() {
            return Some(DISABLED.to_owned());
        }
        Some(match of {
            BreakerOf::Instance(_) => {
                format!("Calls of the instance fail, and wait until a probe works: {}", breaker.reason)
            }
            BreakerOf::Host(_, host) => {
                format!("{host} does not answer, and is not called until a probe works: {}", breaker.reason)
            }
        })
    }

    /// Until the next probe, for one that comes back for it.
    pub fn scout(&mut self, of: &BreakerOf, now: Duration) -> Option<Duration> {
        let known = self.open.get_mut(of)?;
        if known.breaker.disabled_at.is_some() || now >= known.probe_at || known.scouts >= SCOUTS {
            return None;
        }
        known.scouts += 1;
        Some(known.probe_at - now)
    }

    /// How long a caller would have to wait for the next probe; none: that is not known.
    pub fn next_probe(&self, of: &BreakerOf, now: Duration) -> Option<Duration> {
        let known = self.open.get(of)?;
        (known.breaker.disabled_at.is_none()).then(|| known.probe_at.saturating_sub(now))
    }

    pub fn open(&mut self, of: &BreakerOf, breaker: OpenBreaker, probe_at: Duration) {
        let known = Known { breaker, probe_at, probing_until: Duration::ZERO, is_asking: false, scouts: 0 };
        self.open.entry(of.clone()).or_insert(known);
    }

    /// Whether it was open.
    pub fn close(&mut self, of: &BreakerOf, now: Duration) -> bool {
        self.own.entry(of.clone()).or_default().ended = now;
        self.open.remove(of).is_some()
    }

    /// A probe is under way here.
    pub fn probes(&mut self, of: &BreakerOf, until: Duration) {
        if let Some(known) = self.open.get_mut(of) {
            known.breaker.state = BreakerState::HalfOpen;
            known.probing_until = until;
        }
    }

    /// The probe has ended, and the destination does not work, or nothing was learned.
    pub fn probe_again(&mut self, of: &BreakerOf, at: Duration, reason: Option<String>) {
        if let Some(known) = self.open.get_mut(of) {
            known.breaker.state = BreakerState::Open;
            known.breaker.reason = reason.unwrap_or_else(|| std::mem::take(&mut known.breaker.reason));
            (known.probe_at, known.probing_until, known.scouts) = (at, Duration::ZERO, 0);
        }
    }

    /// Another process probes.
    pub fn ask_later(&mut self, of: &BreakerOf, at: Duration) {
        if let Some(known) = self.open.get_mut(of) {
            known.probe_at = known.probe_at.max(at);
        }
    }

    /// Something is about to be written: what is read meanwhile says nothing of it.
    pub fn begins(&mut self, of: &BreakerOf) {
        self.own.entry(of.clone()).or_default().writes += 1;
    }

    pub fn ended(&mut self, of: &BreakerOf, now: Duration) {
        let own = self.own.entry(of.clone()).or_default();
        own.writes = own.writes.saturating_sub(1);
        own.ended = now;
    }

    /// What was read, as it was at some time after `asked_at`. Returns those that are not open any more.
    pub fn replace(&mut self, rows: Vec<BreakerRow>, asked_at: Duration, now: Duration) -> Vec<BreakerOf> {
        self.own.retain(|_, own| own.writes > 0 || own.ended >= asked_at);
        let mut before = std::mem::take(&mut self.open);
        for row in rows {
            if row.state != BreakerState::Closed && !self.own.contains_key(&row.of) {
                let known = known(&row, before.remove(&row.of), now);
                self.open.insert(row.of, known);
            }
        }
        let (kept, closed): (HashMap<_, _>, HashMap<_, _>) =
            before.into_iter().partition(|(of, _)| self.own.contains_key(of));
        self.open.extend(kept);
        closed.into_keys().collect()
    }
}

fn known(row: &BreakerRow, before: Option<Known>, now: Duration) -> Known {
    let breaker = OpenBreaker {
        state: row.state,
        since: row.since,
        reason: row.reason.clone().unwrap_or_default(),
        disabled_at: row.disabled_at,
    };
    let probe_at = now.saturating_add(row.probe_in);
    let probing_until = row.probing.map_or(Duration::ZERO, |rest| now.saturating_add(rest));
    // Those that come back for the same probe are as many as before.
    let same = before.as_ref().filter(|before| before.probe_at.abs_diff(probe_at) < SAME);
    let scouts = same.map_or(0, |before| before.scouts);
    Known { breaker, probe_at, probing_until, is_asking: before.is_some_and(|before| before.is_asking), scouts }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::access::principal::Tenant;
    use crate::domain::instance::InstanceId;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn shop() -> BreakerOf {
        BreakerOf::Instance(InstanceId(Uuid::nil()))
    }

    fn breaker() -> OpenBreaker {
        let since = Timestamp::UNIX_EPOCH;
        OpenBreaker { state: BreakerState::Open, since, reason: "HTTP 503".to_owned(), disabled_at: None }
    }

    fn row(probe_in: u64, probing: Option<u64>) -> BreakerRow {
        BreakerRow {
            of: shop(),
            tenant: Tenant::new("acme").unwrap(),
            state: if probing.is_some() { BreakerState::HalfOpen } else { BreakerState::Open },
            since: Timestamp::UNIX_EPOCH,
            reason: Some("HTTP 502".to_owned()),
            disabled_at: None,
            probe_in: at(probe_in),
            idle: Duration::ZERO,
            probing: probing.map(at),
            changes: 1,
            told: 1,
        }
    }

    #[test]
    fn what_opened_here_is_not_forgotten_by_an_older_read() {
        let mut view = View::default();
        view.open(&shop(), breaker(), at(20));
        view.begins(&shop());
        assert_eq!(view.replace(Vec::new(), at(10), at(11)), [], "it is about to be written");
        view.ended(&shop(), at(12));
        assert_eq!(view.replace(Vec::new(), at(11), at(13)), [], "it was read before that");
        assert!(view.bars(&shop(), at(13)));
        assert_eq!(view.replace(Vec::new(), at(13), at(14)), [shop()]);
        assert!(!view.has(&shop()));
    }

    #[test]
    fn one_that_was_closed_here_is_not_opened_by_an_older_read() {
        let mut view = View::default();
        view.replace(vec![row(0, None)], at(1), at(1));
        assert!(view.close(&shop(), at(5)));
        view.replace(vec![row(0, None)], at(4), at(6));
        assert!(!view.has(&shop()));
        view.replace(vec![row(0, None)], at(6), at(7));
        assert!(view.has(&shop()), "it opened again, elsewhere");
    }

    #[test]
    fn some_come_back_for_each_probe_and_one_asks_for_it() {
        let mut view = View::default();
        view.replace(vec![row(10, None)], at(0), at(0));
        let scouts = |view: &mut View| (0..9).filter_map(|_| view.scout(&shop(), at(4))).collect::<Vec<_>>();
        assert_eq!(scouts(&mut view), [at(6); SCOUTS as usize]);
        view.replace(vec![row(6, None)], at(4), at(4));
        assert!(scouts(&mut view).is_empty(), "for the same probe");
        assert!(view.bars(&shop(), at(9)) && !view.bars(&shop(), at(10)));
        view.asks(&shop(), true);
        assert!(view.bars(&shop(), at(10)));
        view.asks(&shop(), false);
        view.probes(&shop(), at(30));
        assert!(view.bars(&shop(), at(29)) && !view.bars(&shop(), at(30)), "its process may have died");
        view.probe_again(&shop(), at(40), None);
        assert_eq!(view.scout(&shop(), at(30)), Some(at(10)));
    }

    #[test]
    fn a_disabled_one_is_not_probed() {
        let mut view = View::default();
        view.replace(vec![BreakerRow { disabled_at: Some(Timestamp::UNIX_EPOCH), ..row(0, None) }], at(0), at(0));
        assert!(view.bars(&shop(), at(9_999)) && view.scout(&shop(), at(1)).is_none());
        assert_eq!(view.next_probe(&shop(), at(1)), None);
        assert!(view.reason(&shop()).unwrap().contains("DISABLE_AFTER"));
    }
}
