//! What a process allows itself of its database.

use std::time::Duration;

/// How many connections it opens, and how long some of its statements may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that requests and everything without a connection of its own share. PostgreSQL only.
    pub pool: u32,
    /// Searches that run at the same time, each on a connection.
    pub searches: u32,
    /// How long a search waits for its turn, and how long it then may take.
    pub search_patience: Duration,
    /// How long a heartbeat may take. PostgreSQL only.
    pub heartbeat: Duration,
}

impl Default for Limits {
    /// Those of an installation that sets none.
    fn default() -> Self {
        Self {
            pool: 20,
            searches: 4,
            search_patience: Duration::from_secs(5),
            heartbeat: Self::heartbeat(Duration::from_secs(15)),
        }
    }
}

impl Limits {
    /// How long a heartbeat may take where a node without one counts as gone after `node_timeout`.
    ///
    /// Heartbeats follow each other after a fifth of that time. If each took much longer than this, the name would be lost
    /// whatever the answer; and after one that a lost connection has swallowed there is time for another.
    pub fn heartbeat(node_timeout: Duration) -> Duration {
        // Less than a second may pass on a busy machine without anything being wrong.
        const SHORTEST: Duration = Duration::from_secs(1);
        const LONGEST: Duration = Duration::from_secs(10);
        (node_timeout * 3 / 10).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn heartbeats_that_take_as_long_as_they_may_keep_a_name_and_one_that_is_lost_leaves_time_for_another() {
        for node_timeout in [4 * SECOND, 5 * SECOND, 15 * SECOND, 60 * SECOND] {
            let (interval, longest) = (node_timeout / 5, Limits::heartbeat(node_timeout));
            // A name is good from when the last heartbeat was sent that was answered.
            assert!(interval + 2 * longest < node_timeout, "{node_timeout:?}");
            let pause_after_failure = interval.min(SECOND / 2);
            assert!(interval + longest + pause_after_failure + longest < node_timeout, "{node_timeout:?}");
        }
    }
}
