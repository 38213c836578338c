use crate::domain::Timestamp;
use crate::domain::inbound::InboundMessage;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{ConnectionStatus, InstanceId};
use crate::domain::receipt::{Receipt, ReportedSend};

/// Reads what a channel's provider reports of an instance.
pub trait EventReader: Send + Sync {
    fn channel(&self) -> ChannelName;

    /// What follows from one report. What is not understood, or concerns nothing here, is passed over: a provider that is
    /// refused says the same again, or nothing more.
    fn read(&self, instance: InstanceId, body: &[u8], now: Timestamp) -> Vec<ProviderEvent>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderEvent {
    Receipt(Receipt),
    /// How the instance is connected now, as the provider says.
    Connection(ConnectionStatus),
    /// Something came or went through the instance, which can only be while it is connected.
    Seen,
    /// A message that was sent through the instance, by us or by another client of its provider.
    Sent(Box<ReportedSend>),
    /// A message that was written to the instance, or on its phone.
    Message(Box<InboundMessage>),
}
