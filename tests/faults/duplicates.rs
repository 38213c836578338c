use std::collections::BTreeMap;

use super::disturbances::Disturbances;
use super::receiver::Call;
use super::row::Row;

/// Messages that the channel took more than once, and why.
///
/// There are two reasons that leave a trace in the rows: the channel's answer was lost (an attempt whose outcome is
/// `unknown`), or it could not be recorded (a try without an attempt: its process died, froze, or lost the database).
/// And one that leaves none: a call that was broken off on a connection that had been there before is repeated at once, within
/// its try. Each needs something that went wrong at the time.
#[derive(Default)]
pub struct Duplicates {
    pub by_reason: BTreeMap<String, usize>,
    /// Taken once or more, and said to have failed: no duplicates, but they have the same two reasons.
    pub taken_though_failed: usize,
    pub without_reason: Vec<String>,
}

/// All that is known of one message.
pub struct Story<'s> {
    pub id: &'s str,
    pub calls: &'s [Call],
    pub row: &'s Row,
}

impl Duplicates {
    pub fn add(&mut self, story: &Story<'_>, disturbances: &Disturbances) {
        let taken: Vec<&Call> = story.calls.iter().filter(|call| call.took).collect();
        let mut tries = Unexplained::of(story.row, story.calls.len());
        // All but the last are repeated; of a message that is said to have failed the last needs a reason as well.
        let repeated = taken.len().saturating_sub(1);
        let looked_at = if story.row.status == "failed" { taken.len() } else { repeated };
        for (number, call) in taken.into_iter().enumerate().take(looked_at) {
            let kind = tries.explain(call);
            match kind.zip(disturbances.at(call.at)) {
                Some(_) if number == repeated => self.taken_though_failed += 1,
                Some((kind, what)) => *self.by_reason.entry(format!("{kind}: {what}")).or_default() += 1,
                None => {
                    let Row { status, tries, outcomes, .. } = story.row;
                    let seen = format!("{} {status}, {tries} tries {outcomes:?}: {:?}", story.id, story.calls);
                    self.without_reason.push(format!("{seen}, {kind:?} at {}", call.at));
                }
            }
        }
    }

    pub fn total(&self) -> usize {
        self.by_reason.values().sum::<usize>() + self.without_reason.len()
    }
}

/// Tries of a message after which somebody had to try again without knowing what had become of them.
struct Unexplained {
    answer_lost: usize,
    not_recorded: usize,
    /// Calls beyond the tries.
    repeated_at_once: usize,
}

impl Unexplained {
    fn of(row: &Row, calls: usize) -> Self {
        let tries = usize::try_from(row.tries).unwrap();
        // A first try that succeeded is told by the message's own row.
        let told_by_the_row = usize::from(row.tries == 1 && row.status == "sent");
        Self {
            answer_lost: row.outcomes.iter().filter(|outcome| *outcome == "unknown").count(),
            not_recorded: tries.saturating_sub(row.outcomes.len() + told_by_the_row),
            repeated_at_once: calls.saturating_sub(tries),
        }
    }

    /// Which of these this call was; none when no such try is left.
    fn explain(&mut self, call: &Call) -> Option<&'static str> {
        if self.repeated_at_once > 0 && !call.answered {
            self.repeated_at_once -= 1;
            return Some("broken off and repeated at once");
        }
        if self.answer_lost > 0 && (!call.answered || self.not_recorded == 0) {
            self.answer_lost -= 1;
            return Some("answer lost");
        }
        self.not_recorded = self.not_recorded.checked_sub(1)?;
        Some("not recorded")
    }
}
