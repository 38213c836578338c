use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::presentation::http::wire::body::BodyLimits;

/// How requests to topics are answered.
#[derive(Clone)]
pub struct TopicSettings {
    pub bodies: BodyLimits,
    /// Whether a client may publish that shows no credentials.
    pub is_open: bool,
    pub unconfirmed: UnconfirmedAnswer,
    /// How long a client waits for Kafka.
    pub confirm_timeout: Duration,
    pub repaired: RepairCounts,
    /// By topic.
    pub deduplications: Arc<HashMap<String, Deduplication>>,
}

/// Of records that are alike one is published within a time.
#[derive(Clone, Debug)]
pub struct Deduplication {
    pub within: Duration,
    /// JSON Pointers into `data`: members that do not count.
    pub without: Vec<String>,
}

/// What a client is answered whose record is kept and not confirmed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnconfirmedAnswer {
    Ok,
    Accepted,
    /// As the Node bridge did.
    Error,
}

/// How many bodies had to be mended. Copies share it.
#[derive(Clone, Default)]
pub struct RepairCounts(Arc<Counts>);

#[derive(Default)]
struct Counts {
    charset: AtomicU64,
    control_characters: AtomicU64,
}

impl RepairCounts {
    /// One body, of which this was mended.
    pub fn count(&self, charset: bool, control_characters: bool) {
        self.0.charset.fetch_add(charset.into(), Ordering::Relaxed);
        self.0.control_characters.fetch_add(control_characters.into(), Ordering::Relaxed);
    }

    /// By what was mended.
    pub fn all(&self) -> [(&'static str, u64); 2] {
        [
            ("windows-1252", self.0.charset.load(Ordering::Relaxed)),
            ("control-characters", self.0.control_characters.load(Ordering::Relaxed)),
        ]
    }
}
