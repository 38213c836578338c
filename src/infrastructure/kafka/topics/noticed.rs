//! What was seen at the last look at the topics, so that only news is logged.

use tracing::{info, warn};

/// How many partitions a topic was seen to have.
#[derive(Debug, Default)]
pub struct Partitions(Option<usize>);

impl Partitions {
    /// How many there were before, if there are more now. None: not known yet, or the topic is not there.
    pub fn now(&mut self, count: Option<usize>) -> Option<usize> {
        let before = std::mem::replace(&mut self.0, count)?;
        count.filter(|count| *count > before).map(|_| before)
    }
}

/// What stands in the way of the topics, as it was logged last.
#[derive(Debug, Default)]
pub struct Complaint(Option<String>);

impl Complaint {
    /// Warns when something else stands in the way than at the last look, and says once that nothing does any more. While
    /// the broker is away nothing is said: that is logged elsewhere.
    pub fn now(&mut self, complaint: Option<String>, is_connected: bool) {
        match &complaint {
            Some(_) if !is_connected || self.0 == complaint => return,
            Some(complaint) => warn!(target: "kafka", "cannot make sure that all topics are there: {complaint}"),
            None if self.0.is_some() => info!(target: "kafka", "all topics are there again"),
            None => {}
        }
        self.0 = complaint;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_lines::written;

    #[test]
    fn what_stands_in_the_way_is_said_once_and_so_is_its_end() {
        let lines = written(|| {
            let (mut complaint, refused) = (Complaint::default(), || Some("send: refused".to_owned()));
            complaint.now(None, true);
            // Another line says that the broker is away.
            complaint.now(Some("no broker answers".to_owned()), false);
            complaint.now(None, true);
            for look in [refused(), refused(), Some("dlq: refused".to_owned()), None, None, refused()] {
                complaint.now(look, true);
            }
        });
        let [first, another, again, last] = &lines[..] else { panic!("{lines:#?}") };
        for (line, complaint) in [(first, "send: refused"), (another, "dlq: refused"), (last, "send: refused")] {
            assert!(line.contains("WARN") && line.ends_with(&format!("all topics are there: {complaint}")), "{line}");
        }
        assert!(again.contains("INFO") && again.ends_with("all topics are there again"), "{again}");
    }

    #[test]
    fn partitions_that_are_added_are_noticed_once_and_a_topic_that_is_made_again_is_not() {
        let mut partitions = Partitions::default();
        let looks = [None, Some(3), Some(3), Some(6), Some(6), None, Some(12), Some(3)];
        assert_eq!(looks.map(|count| partitions.now(count)), [None, None, None, Some(3), None, None, None, None]);
    }
}
