//! What channels say of messages, and what they bring.

use crate::application::delivery::admission::Admission;
use crate::application::gateway::Ports;
use crate::application::gateway::Settings;
use crate::application::inbound;
use crate::application::receipts;
use crate::application::receipts::heard_instances::HeardInstances;
use crate::application::receipts::noted_connections::NotedConnections;
use crate::application::receipts::noted_receipts::NotedReceipts;
use crate::application::receipts::refused_names::RefusedNames;
use crate::domain::message::dead_letter::DeadLetterPolicy;
use std::sync::Arc;

impl Ports {
    pub(in crate::application::gateway) fn receive_receipts(
        &self,
        dead_letters: DeadLetterPolicy,
    ) -> receipts::ReceiveReceipts {
        receipts::ReceiveReceipts { inbox: self.stores.receipts.clone(), clock: self.clock.clone(), dead_letters }
    }

    pub(in crate::application::gateway) fn receive_messages(&self) -> inbound::ReceiveMessages {
        inbound::ReceiveMessages {
            received: self.stores.received.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
        }
    }

    pub(in crate::application::gateway) fn receive_events(
        &self,
        settings: &Settings,
        dead_letters: DeadLetterPolicy,
        admission: &Admission,
        noted_receipts: NotedReceipts,
    ) -> receipts::ReceiveEvents {
        receipts::ReceiveEvents {
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            secrets: self.event_secrets(settings),
            receipts: self.receive_receipts(dead_letters),
            inbound: self.receive_messages(),
            sends: self.stores.reported_sends.clone(),
            admission: admission.clone(),
            clock: self.clock.clone(),
            tasks: self.tasks.clone(),
            is_open: settings.providers_are_open,
            refused: RefusedNames::default(),
            passed_over: RefusedNames::default(),
            noted: NotedConnections::default(),
            noted_receipts,
            heard: HeardInstances::default(),
        }
    }

    pub(in crate::application::gateway) fn count_stuck(
        &self,
        settings: &Settings,
        noted: NotedReceipts,
    ) -> receipts::CountStuck {
        let rule = self.stuck_rule(settings);
        receipts::CountStuck::new(self.stores.stuck.clone(), rule, noted, self.clock.clone())
    }

    pub(in crate::application::gateway) fn stuck_rule(&self, settings: &Settings) -> receipts::StuckRule {
        receipts::StuckRule::new(self.channels.clone(), settings.stuck_after.clone())
    }

    pub(in crate::application::gateway) fn receive_signed_events(
        &self,
        events: Arc<receipts::ReceiveEvents>,
    ) -> receipts::ReceiveSignedEvents {
        receipts::ReceiveSignedEvents {
            handshakes: receipts::ShakeHands {
                handshakes: self.stores.handshakes.clone(),
                channels: self.channels.clone(),
                cipher: self.cipher.clone(),
            },
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            events,
            clock: self.clock.clone(),
        }
    }
}
