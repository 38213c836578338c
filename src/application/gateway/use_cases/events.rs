//! Events: reported, received, made into messages; and what becomes of messages, told.

use crate::application::delivery::admission::Admission;
use crate::application::events::bells::Bells;
use crate::application::events::receiver::Receiver;
use crate::application::events::reporting;
use crate::application::gateway::Ports;
use crate::application::gateway::Reporting;
use crate::application::gateway::Settings;
use crate::application::gateway::StatusWebhookParts;
use crate::application::gateway::StatusWebhooks;
use crate::application::gateway::Subscriptions;
use crate::application::gateway::status_webhooks;
use crate::application::node::this_node::ThisNode;
use crate::application::sources;
use crate::application::subscriptions;

impl Ports {
    pub(in crate::application::gateway) fn status_webhooks(
        &self,
        node: &ThisNode,
        settings: &Settings,
        admission: &Admission,
    ) -> StatusWebhooks {
        status_webhooks(StatusWebhookParts {
            subscriptions: self.stores.status_subscriptions.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            tenants: node.tenants.clone(),
            admission: admission.clone(),
            overlap: settings.secret_overlap,
            timeout: settings.direct_timeout,
        })
    }

    pub(in crate::application::gateway) fn reporting(&self, bells: &Bells) -> Reporting {
        let (stores, clock) = (&self.stores, &self.clock);
        Reporting {
            report: reporting::ReportEvent {
                events: stores.events.clone(),
                types: stores.event_types.clone(),
                schemas: self.schemas.clone(),
                ids: self.ids.clone(),
                clock: clock.clone(),
                bells: bells.clone(),
            },
            read: reporting::ReadEvents {
                events: stores.events.clone(),
                deliveries: stores.event_deliveries.clone(),
                clock: clock.clone(),
                bells: bells.clone(),
            },
            types: reporting::RegisterType {
                types: stores.event_types.clone(),
                schemas: self.schemas.clone(),
                clock: clock.clone(),
            },
        }
    }

    pub(in crate::application::gateway) fn receive_report(&self, bells: &Bells) -> sources::ReceiveReport {
        sources::ReceiveReport {
            sources: self.sources.clone(),
            events: self.stores.events.clone(),
            schemas: self.schemas.clone(),
            expressions: self.expressions.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
            bells: bells.clone(),
        }
    }

    pub(in crate::application::gateway) fn shape_message(&self, node: &ThisNode) -> subscriptions::ShapeMessage {
        subscriptions::ShapeMessage {
            expressions: self.expressions.clone(),
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            identity: Some(node.identity.clone()),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
        }
    }

    pub(in crate::application::gateway) fn subscriptions(&self, node: &ThisNode) -> Subscriptions {
        let stores = &self.stores;
        Subscriptions {
            manage: subscriptions::ManageSubscriptions {
                subscriptions: stores.subscriptions.clone(),
                instances: stores.instances.clone(),
                expressions: self.expressions.clone(),
                channels: self.channels.clone(),
                ids: self.ids.clone(),
                clock: self.clock.clone(),
            },
            try_out: subscriptions::TrySubscription {
                subscriptions: stores.subscriptions.clone(),
                shape: self.shape_message(node),
            },
            replay: subscriptions::ReplayEvents {
                subscriptions: stores.subscriptions.clone(),
                events: stores.events.clone(),
                deliveries: stores.event_deliveries.clone(),
                shape: self.shape_message(node),
                clock: self.clock.clone(),
            },
        }
    }

    pub(in crate::application::gateway) fn receiver(&self, bells: &Bells) -> Option<Receiver> {
        let receiver = self.receiver.clone()?;
        Some(Receiver::new(receiver, &self.stores, self.clock.clone(), self.ids.clone(), bells))
    }
}
