use std::collections::BTreeMap;

use super::books::Row;
use super::disturbances::Disturbances;
use super::receiver::Call;

/// Messages that the channel took more than once, and why.
///
/// There are two reasons, and both leave a trace in the rows: the channel's answer was lost (an attempt whose outcome is
/// `unknown`), or it could not be recorded (a try without an attempt: its process died, froze, or lost the database).
/// Either needs something that went wrong at the time.
#[derive(Default)]
pub struct Duplicates {
    pub by_reason: BTreeMap<String, usize>,
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
        let mut unknown = story.row.outcomes.iter().filter(|outcome| *outcome == "unknown").count();
        let mut untold = story.row.untold_tries();
        // A message that is said to have failed should not have been taken at all.
        let wanted = usize::from(story.row.status != "failed");
        for call in taken.iter().take(taken.len().saturating_sub(wanted)) {
            let kind = if unknown > 0 && (!call.answered || untold == 0) {
                unknown -= 1;
                Some("answer lost")
            } else if untold > 0 {
                untold -= 1;
                Some("not recorded")
            } else {
                None
            };
            match kind.zip(disturbances.at(call.at)) {
                Some((kind, what)) => *self.by_reason.entry(format!("{kind}: {what}")).or_default() += 1,
                None => {
                    let row = story.row;
                    let seen = format!("{} {} {} tries {:?}", story.id, row.status, row.tries, row.outcomes);
                    self.without_reason.push(format!("{seen}, {kind:?}: {:?}", story.calls));
                }
            }
        }
    }

    pub fn total(&self) -> usize {
        self.by_reason.values().sum::<usize>() + self.without_reason.len()
    }
}

impl Row {
    /// Tries of which nobody recorded how they ended.
    fn untold_tries(&self) -> usize {
        let tries = usize::try_from(self.tries).unwrap();
        // A first try that succeeded is told by the message's own row.
        let told_by_the_row = usize::from(self.tries == 1 && self.status == "sent");
        tries.saturating_sub(self.outcomes.len() + told_by_the_row)
    }
}
