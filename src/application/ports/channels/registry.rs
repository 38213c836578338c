use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::ChannelSender;
use crate::domain::instance::channel::ChannelName;
use crate::domain::problem::FieldProblem;

/// The channels of this installation, by name.
#[derive(Clone, Default)]
pub struct Channels(BTreeMap<ChannelName, Arc<dyn ChannelSender>>);

impl Channels {
    pub fn new(senders: impl IntoIterator<Item = Arc<dyn ChannelSender>>) -> Self {
        Self(senders.into_iter().map(|sender| (sender.channel(), sender)).collect())
    }

    pub fn find(&self, name: &ChannelName) -> Option<&Arc<dyn ChannelSender>> {
        self.0.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &ChannelName> {
        self.0.keys()
    }

    /// How long a try of any of them may take at the most.
    pub fn longest_try(&self) -> Duration {
        self.0.values().map(|sender| sender.longest_try()).max().unwrap_or_default()
    }

    /// The problem of an unknown channel, naming the known ones.
    pub fn unknown(&self) -> FieldProblem {
        let names: Vec<&str> = self.names().map(ChannelName::as_str).collect();
        FieldProblem::new("/channel", format!("must be one of {}", names.join(", ")))
    }
}
