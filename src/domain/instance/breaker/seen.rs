//! What a process has seen of a destination, and when that opens its breaker.

use std::time::Duration;

/// So many calls that failed one after the other open a breaker.
pub const IN_A_ROW: u32 = 5;

/// Or half of at least so many within [`WITHIN`].
pub const AT_LEAST: u32 = 20;
pub const WITHIN: Duration = Duration::from_secs(60);

/// Calls that failed one after the other are remembered so long after the last one.
const ROW_KEPT: Duration = Duration::from_secs(3_600);

/// What counts together. The oldest part of a minute is forgotten as a whole.
const SPAN: Duration = Duration::from_secs(5);
const SPANS: usize = (WITHIN.as_secs() / SPAN.as_secs()) as usize;

/// Why it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    InARow,
    Half { failed: u32, of: u32 },
}

/// What a process has seen of the calls of a destination in the last minute: as much memory however many there are.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    spans: [Span; SPANS],
    in_a_row: u32,
    /// The number of the span of the last call.
    last: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    number: u64,
    calls: u32,
    failed: u32,
}

impl Seen {
    /// A call has ended, by a clock that never goes back. Whether that opens the breaker; then all is forgotten.
    pub fn heard(&mut self, fails: bool, now: Duration) -> Option<Opens> {
        let number = span_of(now).max(self.last);
        self.last = number;
        let span = &mut self.spans[(number % SPANS as u64) as usize];
        if span.number != number {
            *span = Span { number, ..Span::default() };
        }
        span.calls = span.calls.saturating_add(1);
        if !fails {
            self.in_a_row = 0;
            return None;
        }
        span.failed = span.failed.saturating_add(1);
        self.in_a_row += 1;
        let opens = self.opens(number);
        if opens.is_some() {
            *self = Self { last: number, ..Self::default() };
        }
        opens
    }

    fn opens(&self, number: u64) -> Option<Opens> {
        if self.in_a_row >= IN_A_ROW {
            return Some(Opens::InARow);
        }
        let recent = self.spans.iter().filter(|span| number - span.number.min(number) < SPANS as u64);
        let (calls, failed) = recent.fold((0_u32, 0_u32), |(calls, failed), span| {
            (calls.saturating_add(span.calls), failed.saturating_add(span.failed))
        });
        (calls >= AT_LEAST && failed >= calls.div_ceil(2)).then_some(Opens::Half { failed, of: calls })
    }

    /// Whether nothing of it counts any more.
    pub fn is_over(&self, now: Duration) -> bool {
        let kept = if self.in_a_row > 0 { ROW_KEPT } else { WITHIN };
        span_of(now).saturating_sub(self.last) > span_of(kept)
    }
}

fn span_of(now: Duration) -> u64 {
    now.as_secs() / SPAN.as_secs()
}
