use std::collections::{BTreeMap, BTreeSet, VecDeque};

use correio::application::ports::{Arrival, Partition};

/// What the group knows of one of its processes.
#[derive(Default)]
pub struct Member {
    pub events: VecDeque<Arrival>,
    pub position: BTreeMap<Partition, i64>,
    pub paused: BTreeSet<Partition>,
    pub finished: BTreeMap<Partition, i64>,
    pub is_closing: bool,
}
