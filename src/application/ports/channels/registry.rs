use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{ChannelConnector, ChannelSender, EventReader, GroupDirectory, SignedEventReader};
use crate::domain::instance::channel::ChannelName;
use crate::domain::problem::FieldProblem;

/// The channels of this installation, by name.
#[derive(Clone, Default)]
pub struct Channels {
    senders: BTreeMap<ChannelName, Arc<dyn ChannelSender>>,
    /// Channels that the operator has switched off, with a sentence that says so.
    switched_off: BTreeMap<ChannelName, &'static str>,
    connectors: BTreeMap<ChannelName, Arc<dyn ChannelConnector>>,
    event_readers: BTreeMap<ChannelName, Arc<dyn EventReader>>,
    signed_event_readers: BTreeMap<ChannelName, Arc<dyn SignedEventReader>>,
    group_directories: BTreeMap<ChannelName, Arc<dyn GroupDirectory>>,
}

impl Channels {
    pub fn new(senders: impl IntoIterator<Item = Arc<dyn ChannelSender>>) -> Self {
        let senders = senders.into_iter().map(|sender| (sender.channel(), sender)).collect();
        Self { senders, ..Self::default() }
    }

    pub fn add(&mut self, sender: Arc<dyn ChannelSender>) {
        self.senders.insert(sender.channel(), sender);
    }

    /// Its instances have to be connected.
    pub fn connect_by(&mut self, connector: Arc<dyn ChannelConnector>) {
        self.connectors.insert(connector.channel(), connector);
    }

    /// Its provider reports what happens.
    pub fn read_events_by(&mut self, reader: Arc<dyn EventReader>) {
        self.event_readers.insert(reader.channel(), reader);
    }

    /// The channels whose instances have to be connected.
    pub fn connectable(&self) -> Vec<ChannelName> {
        self.connectors.keys().cloned().collect()
    }

    /// Its provider reports what happens, and signs it.
    pub fn read_signed_events_by(&mut self, reader: Arc<dyn SignedEventReader>) {
        self.signed_event_readers.insert(reader.channel(), reader);
    }

    /// Its provider has groups of its own.
    pub fn find_groups_in(&mut self, directory: Arc<dyn GroupDirectory>) {
        self.group_directories.insert(directory.channel(), directory);
    }

    /// None for a channel whose provider has no groups.
    pub fn group_directory(&self, name: &ChannelName) -> Option<&Arc<dyn GroupDirectory>> {
        self.group_directories.get(name)
    }

    /// None for a channel whose instances need no connecting.
    pub fn connector(&self, name: &ChannelName) -> Option<&Arc<dyn ChannelConnector>> {
        self.connectors.get(name)
    }

    /// None for a channel that reports nothing.
    pub fn event_reader(&self, name: &ChannelName) -> Option<&Arc<dyn EventReader>> {
        self.event_readers.get(name)
    }

    /// None for a channel whose reports are not signed.
    pub fn signed_event_reader(&self, name: &ChannelName) -> Option<&Arc<dyn SignedEventReader>> {
        self.signed_event_readers.get(name)
    }

    pub fn signed_event_readers(&self) -> impl Iterator<Item = &Arc<dyn SignedEventReader>> {
        self.signed_event_readers.values()
    }

    /// What waits for this channel fails with that sentence: no process is to deliver it.
    pub fn switch_off(&mut self, name: ChannelName, sentence: &'static str) {
        self.senders.remove(&name);
        self.switched_off.insert(name, sentence);
    }

    /// The sentence about a channel that is switched off.
    pub fn switched_off(&self, name: &ChannelName) -> Option<&'static str> {
        self.switched_off.get(name).copied()
    }

    pub fn find(&self, name: &ChannelName) -> Option<&Arc<dyn ChannelSender>> {
        self.senders.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &ChannelName> {
        self.senders.keys()
    }

    /// How long a try of any of them may take at the most.
    pub fn longest_try(&self) -> Duration {
        self.longest_tries().map(|(_, longest)| longest).max().unwrap_or_default()
    }

    /// How long a try of each may take.
    pub fn longest_tries(&self) -> impl Iterator<Item = (&ChannelName, Duration)> {
        self.senders.iter().map(|(name, sender)| (name, sender.longest_try()))
    }

    /// The problem of an unknown channel, naming the known ones.
    pub fn unknown(&self) -> FieldProblem {
        let names: Vec<&str> = self.names().map(ChannelName::as_str).collect();
        FieldProblem::new("/channel", format!("must be one of {}", names.join(", ")))
    }
}
