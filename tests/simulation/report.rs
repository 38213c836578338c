//! What a run did and what it broke, to be read.

use std::time::Duration;

use correio::domain::message::MessageId;

use super::scenario::Ended;
use super::story::{Broken, stories};

/// The seed, what was broken, and all that happened to the first message that it was broken for, in order.
pub fn report(seed: u64, ended: &Ended, broken: &[Broken]) -> String {
    let mut lines = vec![format!("seed {seed} broke promises:")];
    lines.extend(broken.iter().map(|one| match one.message {
        Some(message) => format!("  {message} {}", one.how),
        None => format!("  {}", one.how),
    }));
    let guilty = broken.iter().find_map(|one| one.message);
    lines.push(format!("what happened{}:", guilty.map_or(String::new(), |id| format!(", with {id}"))));
    lines.extend(trace(ended, guilty).into_iter().map(|(at, what)| format!("{:>9.3} s  {what}", at.as_secs_f64())));
    lines.join("\n")
}

/// Everything that concerns all messages, or this one.
pub fn trace(ended: &Ended, of: Option<MessageId>) -> Vec<(Duration, String)> {
    let name = |node| match ended.told.names.get(&node) {
        Some(process) => format!("process {}", process.0),
        None => "nobody".to_owned(),
    };
    let mut trace: Vec<(Duration, String)> = Vec::new();
    for one in &ended.told.happenings {
        match one.message {
            None => trace.push((one.at, format!("--- {}", one.what))),
            Some(id) if Some(id) == of => trace.push((one.at, one.what.clone())),
            Some(_) => {}
        }
    }
    for story in stories(ended).iter().filter(|story| Some(story.row.id) == of) {
        for (at, change) in &story.changes {
            let from = change.from.map_or("nothing", |from| from.as_str());
            let owner = change.node.map_or("nobody".to_owned(), name);
            let what = format!("{from} -> {} by {}, of {owner}, try {}", change.to, change.writer, change.try_number);
            trace.push((*at, what));
        }
        trace.extend(story.calls.iter().map(|call| (call.at, format!("the channel is called: {:?}", call.deed))));
    }
    trace.sort_by_key(|(at, _)| *at);
    trace
}
