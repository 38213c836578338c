//! From which id on there is work: how the looks that come again and again pass over the weeks that are over.
//!
//! Planning and executing a statement costs the more the more partitions it names, whether or not they hold anything. So
//! these looks name the last two weeks, those ahead, and of the older ones only those down to the oldest in which something
//! is open or owed. Which these are is asked in turns: a span of eight weeks each time, and all of them at the start, when a
//! new week begins, and after a replay by this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{Days, NaiveDate, NaiveTime, Weekday};
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::message::MessageId;
use crate::infrastructure::storage::shared::first_id;

/// The older weeks, in so many spans of so many weeks: three years. What is older still belongs to the last span.
const SPANS: usize = 20;
const WEEKS_A_SPAN: u64 = 8;

/// Pause before the next span is asked: all have had their turn within ten seconds, if each look asks one.
const PAUSE: Duration = Duration::from_millis(250);

/// A span that takes long, because its weeks were never vacuumed, makes the pause longer: so many times what it took.
const PATIENCE: u32 = 50;

/// The floor under the messages that are looked at. Its clones are one.
#[derive(Clone, Default)]
pub struct Floor(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// When the last week began. None: nothing was asked yet.
    recent: Option<NaiveDate>,
    /// Whether something in the span is open or owed, as far as is known; the youngest span first.
    is_needed: [bool; SPANS],
    /// The one whose turn is next, and not before this moment.
    next: usize,
    not_before: Option<Instant>,
    /// How often something may have been opened in an old week, and how much of that all spans have been asked for since.
    doubts: u64,
    cleared: u64,
}

/// Some older weeks, from the least id in them to the least above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    number: usize,
    from: Uuid,
    to: Uuid,
}

impl Span {
    /// The statement with its bounds for `:from` and `:to`.
    pub fn name_in(&self, statement: &str) -> String {
        statement.replace(":from", &literal(self.from)).replace(":to", &literal(self.to))
    }
}

/// Spans that shall be asked before the next look.
#[derive(Debug)]
pub struct Asking {
    pub spans: Vec<Span>,
    recent: NaiveDate,
    /// None: these are not all.
    clears: Option<u64>,
    since: Instant,
}

impl Asking {
    /// Whether all spans are asked.
    pub fn are_all(&self) -> bool {
        self.clears.is_some()
    }

    /// The weeks that belong to no span: the last two, and those ahead.
    pub fn recent_weeks(&self) -> Span {
        Span { number: SPANS, from: first_id_of(self.recent), to: Uuid::max() }
    }
}

impl Floor {
    /// The least id that is looked at.
    pub fn id(&self) -> Uuid {
        let state = self.state();
        let Some(recent) = state.recent else { return Uuid::nil() };
        match state.is_needed.iter().rposition(|is_needed| *is_needed) {
            Some(oldest) => span(recent, oldest).from,
            None => first_id_of(recent),
        }
    }

    /// What is to be asked before a look at `now`, which is this `moment`.
    pub fn begin(&self, now: Timestamp, moment: Instant) -> Asking {
        let (mut state, recent, since) = (self.state(), last_week(now), moment);
        if state.recent != Some(recent) {
            // Nothing is passed over until it was asked for by these bounds.
            *state =
                State { recent: Some(recent), is_needed: [true; SPANS], doubts: state.doubts + 1, ..State::default() };
        }
        if state.doubts != state.cleared {
            let spans = (0..SPANS).map(|number| span(recent, number)).collect();
            return Asking { spans, recent, clears: Some(state.doubts), since };
        }
        let is_due = state.not_before.is_none_or(|moment| moment <= since);
        let spans = if is_due { vec![span(recent, state.next)] } else { Vec::new() };
        Asking { spans, recent, clears: None, since }
    }

    /// Takes in whether something in each of these spans is open or owed, as it was answered by this `moment`. None: it was not
    /// answered. Then it stays as it was, or counts as needed if there is a doubt, and is asked again in its turn.
    pub fn take_in(&self, asking: &Asking, is_needed: &[Option<bool>], moment: Instant) {
        let mut state = self.state();
        if asking.spans.is_empty() || state.recent != Some(asking.recent) {
            return;
        }
        for (span, is_needed) in asking.spans.iter().zip(is_needed) {
            let unanswered = asking.clears.is_some() || state.is_needed[span.number];
            state.is_needed[span.number] = is_needed.unwrap_or(unanswered);
            state.next = (span.number + 1) % SPANS;
        }
        state.cleared = asking.clears.unwrap_or(state.cleared);
        let took = moment.saturating_duration_since(asking.since);
        // All at once are no measure of one.
        state.not_before = Some(moment + PAUSE.max(took * PATIENCE / u32::try_from(asking.spans.len()).unwrap_or(1)));
    }

    /// For the time in which a statement may open this message again, or any: whatever becomes of the statement, all spans
    /// are asked after it.
    pub fn doubt(&self, id: Option<MessageId>) -> Doubt {
        Doubt { floor: self.clone(), id }
    }

    /// The statement with that id for `:floor`. In the text and not as a parameter: a plan that is kept has no partition that
    /// the text rules out, and every one that a parameter may.
    pub fn name_in(&self, statement: &str) -> String {
        statement.replace(":floor", &literal(self.id()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Floor::doubt`].
#[must_use = "the doubt begins when this is dropped"]
pub struct Doubt {
    floor: Floor,
    id: Option<MessageId>,
}

impl Drop for Doubt {
    fn drop(&mut self) {
        let floor = self.floor.id();
        if self.id.is_none_or(|id| id.0 < floor) {
            self.floor.state().doubts += 1;
        }
    }
}

/// The Monday of the week before the one in which `now` lies.
fn last_week(now: Timestamp) -> NaiveDate {
    let monday = now.date_naive().week(Weekday::Mon).checked_first_day();
    monday.and_then(|monday| monday.checked_sub_days(Days::new(7))).unwrap_or(NaiveDate::MIN)
}

fn span(recent: NaiveDate, number: usize) -> Span {
    let weeks_before = |weeks: u64| recent.checked_sub_days(Days::new(7 * weeks)).map_or(Uuid::nil(), first_id_of);
    let number_of = number as u64;
    let from = if number + 1 == SPANS { Uuid::nil() } else { weeks_before(WEEKS_A_SPAN * (number_of + 1)) };
    Span { number, from, to: weeks_before(WEEKS_A_SPAN * number_of) }
}

/// Made of nothing but letters, digits and hyphens.
fn literal(id: Uuid) -> String {
    format!("'{id}'::uuid")
}

fn first_id_of(day: NaiveDate) -> Uuid {
    first_id(day.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// On a Wednesday.
    fn now() -> Timestamp {
        at("2026-11-25T12:00:00Z")
    }

    fn id_of(day: &str) -> Uuid {
        first_id(at(&format!("{day}T00:00:00Z")))
    }

    /// A relay that looks twice a second.
    struct Relay {
        floor: Floor,
        moment: Instant,
    }

    impl Relay {
        fn new() -> Self {
            Self { floor: Floor::default(), moment: Instant::now() }
        }

        /// A look at once, when this is all that is open. Returns how many spans it asked.
        fn look(&self, open: &[Uuid]) -> usize {
            let asking = self.floor.begin(now(), self.moment);
            let has = |span: &Span| open.iter().any(|id| (span.from..span.to).contains(id));
            self.floor.take_in(&asking, &asking.spans.iter().map(has).map(Some).collect::<Vec<_>>(), self.moment);
            asking.spans.len()
        }

        fn looks(&mut self, count: usize, open: &[Uuid]) {
            for _ in 0..count {
                self.moment += Duration::from_millis(500);
                assert_eq!(self.look(open), 1);
            }
        }
    }

    #[test]
    fn the_first_look_asks_all_and_then_each_asks_one() {
        let mut relay = Relay::new();
        assert_eq!(relay.floor.id(), Uuid::nil());
        assert_eq!(relay.look(&[]), SPANS);
        assert_eq!(relay.floor.id(), id_of("2026-11-16"));
        relay.looks(3, &[]);
        // At once afterwards: none.
        assert_eq!(relay.look(&[]), 0);
    }

    #[test]
    fn spans_touch_and_leave_out_nothing_before_the_last_week() {
        let asking = Floor::default().begin(now(), Instant::now());
        let [first, .., last] = &asking.spans[..] else { panic!("{asking:?}") };
        assert_eq!((first.from, first.to), (id_of("2026-09-21"), id_of("2026-11-16")));
        assert_eq!(last.from, Uuid::nil());
        assert!(asking.spans.windows(2).all(|pair| pair[0].from == pair[1].to));
    }

    #[test]
    fn what_is_open_in_an_old_week_keeps_the_floor_below_it_until_it_has_ended() {
        let (mut relay, old) = (Relay::new(), id_of("2026-01-07"));
        relay.look(&[old]);
        assert!(relay.floor.id() <= old && relay.floor.id() > id_of("2025-11-01"));
        relay.looks(SPANS, &[old]);
        assert!(relay.floor.id() <= old);
        relay.looks(SPANS, &[]);
        assert_eq!(relay.floor.id(), id_of("2026-11-16"));
    }

    #[test]
    fn what_another_process_opens_in_an_old_week_is_seen_within_ten_seconds() {
        let (mut relay, ages_ago) = (Relay::new(), id_of("1999-12-31"));
        relay.look(&[]);
        let start = relay.moment;
        while relay.floor.id() > ages_ago {
            relay.looks(1, &[ages_ago]);
        }
        assert!(relay.moment - start <= Duration::from_secs(10));
    }

    #[test]
    fn what_this_process_opens_below_the_floor_is_asked_for_by_the_next_look() {
        let (mut relay, old) = (Relay::new(), id_of("2026-01-07"));
        relay.look(&[]);
        drop(relay.floor.doubt(Some(MessageId(id_of("2026-11-20")))));
        relay.looks(1, &[]);
        for doubted in [Some(MessageId(old)), None] {
            drop(relay.floor.doubt(doubted));
            assert_eq!(relay.look(&[old]), SPANS);
            assert!(relay.floor.id() <= old);
            relay.looks(SPANS, &[]);
            assert!(relay.floor.id() > old);
        }
    }

    #[test]
    fn a_replay_while_all_are_asked_is_asked_for_again() {
        let relay = Relay::new();
        relay.look(&[]);
        drop(relay.floor.doubt(None));
        let asking = relay.floor.begin(now(), relay.moment);
        drop(relay.floor.doubt(None));
        relay.floor.take_in(&asking, &[Some(false); SPANS], relay.moment);
        for _ in 0..2 {
            // Nor does it count that they were asked, if they were not answered.
            assert_eq!(relay.floor.begin(now(), relay.moment).spans.len(), SPANS);
        }
    }

    /// Its weeks are locked, or the database is away.
    #[test]
    fn a_span_that_does_not_answer_stays_as_it_was_and_holds_up_no_other() {
        let (mut relay, recent) = (Relay::new(), id_of("2026-11-16"));
        relay.look(&[]);
        for number in 0..SPANS {
            relay.moment += PAUSE;
            let asking = relay.floor.begin(now(), relay.moment);
            assert_eq!(asking.spans[0].number, number);
            relay.floor.take_in(&asking, &[None], relay.moment);
            assert_eq!(relay.floor.id(), recent);
        }
        // In doubt, it counts as needed, until its turn comes.
        drop(relay.floor.doubt(None));
        let asking = relay.floor.begin(now(), relay.moment);
        relay.floor.take_in(&asking, &[None; SPANS], relay.moment);
        assert_eq!(relay.floor.id(), Uuid::nil());
        relay.looks(SPANS, &[]);
        assert_eq!(relay.floor.id(), recent);
    }

    #[test]
    fn nothing_is_passed_over_in_a_new_week_before_it_was_asked_for() {
        let relay = Relay::new();
        relay.look(&[]);
        let asking = relay.floor.begin(at("2026-11-30T00:00:00Z"), relay.moment);
        assert_eq!((asking.spans.len(), relay.floor.id()), (SPANS, Uuid::nil()));
        relay.floor.take_in(&asking, &[Some(false); SPANS], relay.moment);
        assert_eq!(relay.floor.id(), id_of("2026-11-23"));
        // An answer by the bounds of another week says nothing about these.
        relay.floor.begin(now(), relay.moment);
        relay.floor.take_in(&asking, &[Some(false); SPANS], relay.moment);
        assert_eq!(relay.floor.id(), Uuid::nil());
    }

    #[test]
    fn a_span_that_takes_long_is_asked_less_often() {
        let mut relay = Relay::new();
        relay.look(&[]);
        relay.moment += PAUSE;
        let asking = relay.floor.begin(now(), relay.moment);
        relay.moment += Duration::from_millis(100);
        relay.floor.take_in(&asking, &[Some(false)], relay.moment);
        relay.moment += Duration::from_millis(4_900);
        assert_eq!(relay.look(&[]), 0);
        relay.moment += Duration::from_millis(100);
        assert_eq!(relay.look(&[]), 1);
    }

    #[test]
    fn no_time_is_too_early_or_too_late_for_it() {
        for now in [Timestamp::MIN_UTC, Timestamp::UNIX_EPOCH, Timestamp::MAX_UTC] {
            let asking = Floor::default().begin(now, Instant::now());
            assert!(asking.spans.iter().all(|span| span.from <= span.to));
        }
    }
}
