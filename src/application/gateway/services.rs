//! What a process does in the background beside its heartbeat.

use std::sync::Arc;

use super::Gateway;
use crate::application::node::this_node::ThisNode;
use crate::application::recovery::pay_dead_letters::PaymentRounds;
use crate::application::recovery::relay_due_messages::RelayRounds;
use crate::application::service::{Repeated, Repeating, Service};
use crate::application::transport::{Brokered, Transport};
use crate::application::{
    access, broadcasts, delivery, events, inbound, instances, node, operations, receipts, recovery, status_webhooks,
    subscriptions,
};

impl Gateway {
    /// Everything that the process does in the background beside its heartbeat, each time anew: a loop is added by a line
    /// here.
    pub fn services(&self) -> Vec<Box<dyn Service>> {
        let mut services = vec![
            self.repeating(self.watch_nodes()),
            self.repeating(self.relay_due_messages()),
            self.repeating(self.give_back_forgotten()),
            self.repeating(self.pay_dead_letters()),
            self.repeating(self.forget_ended_nodes()),
            self.repeating(self.empty_deleted_instances()),
            self.repeating(self.maintain_storage()),
            self.repeating(self.overhaul_storage()),
            self.repeating(self.roll_up_counts()),
            self.repeating(self.watch_tenants()),
            self.repeating(self.forget_old_counts()),
            self.repeating(self.route_events()),
            self.repeating(self.sweep_deliveries()),
            self.repeating(self.sweep_receipts()),
            self.repeating(self.decide_phone_messages()),
            self.repeating(self.tell_changes()),
            self.repeating(self.expand_broadcasts()),
        ];
        if !self.channels.connectable().is_empty() {
            services.push(self.repeating(self.watch_connections()));
        }
        if let Some(drain) = self.drain_spool() {
            services.push(self.repeating(drain));
            services.push(self.repeating(self.sweep_events()));
        }
        services.extend(self.event_steps().into_iter().map(|work| self.repeating(self.handle_steps(work))));
        if let Some(kafka) = &self.kafka_rest {
            services.push(self.repeating(kafka.consumers.clone()));
        }
        if let Transport::Brokered(brokered) = &self.transport {
            services.push(Box::new(delivery::KeepBroker { broker: brokered.broker.clone() }));
            services.extend(self.consume_messages(brokered).map(|consume| Box::new(consume) as Box<dyn Service>));
        }
        services
    }

    fn repeating(&self, work: impl Repeated + 'static) -> Box<dyn Service> {
        Box::new(Repeating::new(work, self.ports.clock.clone()).telling(&self.node.hindrances))
    }

    fn watch_nodes(&self) -> node::WatchNodes {
        let (nodes, sightings) = (self.ports.stores.nodes.clone(), self.node.sightings.clone());
        node::WatchNodes::new(nodes, self.ports.clock.clone(), sightings)
    }

    fn watch_connections(&self) -> instances::WatchConnections {
        instances::WatchConnections::new(
            self.ports.connect_instance(&self.settings),
            self.ports.stores.nodes.clone(),
            self.node.identity.clone(),
            self.events.heard.clone(),
        )
    }

    fn relay_due_messages(&self) -> recovery::RelayDueMessages {
        let ThisNode { identity, sightings, held, unreconciled, .. } = self.node.clone();
        recovery::RelayDueMessages {
            due: self.ports.stores.due.clone(),
            queue: self.queue.clone(),
            rounds: RelayRounds::default(),
            identity,
            sightings,
            held,
            unreconciled,
            clock: self.ports.clock.clone(),
            tasks: self.ports.tasks.clone(),
            receipts: self.ports.receive_receipts(self.transport.dead_letters()),
            admission: self.admission.clone(),
            instances: self.ports.stores.instances.clone(),
        }
    }

    pub fn give_back_forgotten(&self) -> recovery::GiveBackForgotten {
        recovery::GiveBackForgotten {
            due: self.ports.stores.due.clone(),
            identity: self.node.identity.clone(),
            held: self.node.held.clone(),
            answered: self.node.answered.clone(),
            clock: self.ports.clock.clone(),
        }
    }

    pub fn pay_dead_letters(&self) -> recovery::PayDeadLetters {
        let ThisNode { identity, sightings, tally, .. } = self.node.clone();
        recovery::PayDeadLetters {
            owed: self.ports.stores.owed_dead_letters.clone(),
            topic: self.ports.dead_letters(&self.transport),
            rounds: PaymentRounds::default(),
            identity,
            sightings,
            clock: self.ports.clock.clone(),
            tasks: self.ports.tasks.clone(),
            tally,
        }
    }

    fn forget_ended_nodes(&self) -> recovery::ForgetEndedNodes {
        let (nodes, sightings) = (self.ports.stores.nodes.clone(), self.node.sightings.clone());
        recovery::ForgetEndedNodes::new(nodes, sightings, self.ports.clock.clone())
    }

    fn empty_deleted_instances(&self) -> instances::EmptyDeletedInstances {
        let (deleted, clock) = (self.ports.stores.deleted_instances.clone(), self.ports.clock.clone());
        let groups = self.ports.stores.groups.clone();
        instances::EmptyDeletedInstances::new(deleted, groups, self.transport.dead_letters(), clock)
    }

    pub fn maintain_storage(&self) -> operations::MaintainStorage {
        let (storage, clock) = (self.ports.stores.storage.clone(), self.ports.clock.clone());
        operations::MaintainStorage::new(storage, clock, self.settings.retention)
    }

    fn overhaul_storage(&self) -> operations::OverhaulStorage {
        operations::OverhaulStorage { storage: self.ports.stores.storage.clone(), clock: self.ports.clock.clone() }
    }

    fn roll_up_counts(&self) -> operations::RollUpCounts {
        operations::RollUpCounts { storage: self.ports.stores.storage.clone() }
    }

    pub fn watch_tenants(&self) -> access::WatchTenants {
        access::WatchTenants { api_keys: self.ports.stores.api_keys.clone(), tenants: self.node.tenants.clone() }
    }

    fn route_events(&self) -> events::HandleSteps {
        let stores = &self.ports.stores;
        let work = Arc::new(subscriptions::RouteEvents {
            subscriptions: stores.subscriptions.clone(),
            deliveries: stores.event_deliveries.clone(),
            failed: stores.failed.clone(),
            shape: self.ports.shape_message(&self.node),
            clock: self.ports.clock.clone(),
        });
        let (steps, clock) = (stores.event_steps.clone(), self.ports.clock.clone());
        events::HandleSteps::new(work, steps, clock, self.bells.clone(), self.node.hindrances.clone())
    }

    fn sweep_deliveries(&self) -> subscriptions::SweepDeliveries {
        subscriptions::SweepDeliveries {
            deliveries: self.ports.stores.event_deliveries.clone(),
            clock: self.ports.clock.clone(),
            retention: self.settings.retention,
        }
    }

    fn forget_old_counts(&self) -> access::ForgetOldCounts {
        access::ForgetOldCounts {
            failures: self.ports.stores.sign_in_failures.clone(),
            allowances: self.ports.stores.request_allowances.clone(),
            clock: self.ports.clock.clone(),
        }
    }

    pub fn sweep_receipts(&self) -> receipts::SweepReceipts {
        let (inbox, clock) = (self.ports.stores.receipts.clone(), self.ports.clock.clone());
        receipts::SweepReceipts::new(inbox, clock, self.transport.dead_letters(), self.stuck.clone())
    }

    pub fn expand_broadcasts(&self) -> broadcasts::ExpandBroadcasts {
        broadcasts::ExpandBroadcasts {
            expansion: self.ports.stores.broadcast_expansion.clone(),
            channels: self.channels.clone(),
            identity: self.node.identity.clone(),
            sightings: self.node.sightings.clone(),
            clock: self.ports.clock.clone(),
            ahead: self.settings.broadcast_ahead,
            idle: 0,
            after: None,
            forgot_at: None,
        }
    }

    pub fn decide_phone_messages(&self) -> inbound::DecidePhoneMessages {
        let (received, clock) = (self.ports.stores.received.clone(), self.ports.clock.clone());
        let (sends, receipts) =
            (self.ports.stores.reported_sends.clone(), self.ports.receive_receipts(self.transport.dead_letters()));
        let sends = inbound::ResolveSends { sends, receipts };
        inbound::DecidePhoneMessages::new(received, sends, clock, self.channels.longest_try())
    }

    pub fn sweep_events(&self) -> events::SweepEvents {
        let (events, storage) = (self.ports.stores.events.clone(), self.ports.stores.storage.clone());
        let (time, clock) = (operations::HistoryTime::silent(), self.ports.clock.clone());
        events::SweepEvents { events, storage, time, clock, retention: self.settings.retention }
    }

    /// What is done with events after they were stored.
    fn event_steps(&self) -> Vec<Arc<dyn events::StepWork>> {
        let mut steps: Vec<Arc<dyn events::StepWork>> = Vec::new();
        if let Some(receiver) = &self.receiver {
            let publish = receiver.publish_events();
            steps.extend(publish.map(|publish| Arc::new(publish) as Arc<dyn events::StepWork>));
            let tables = receiver.write_tables(self.ports.clock.clone());
            steps.extend(tables.map(|tables| Arc::new(tables) as Arc<dyn events::StepWork>));
        }
        steps
    }

    fn handle_steps(&self, work: Arc<dyn events::StepWork>) -> events::HandleSteps {
        let (steps, clock) = (self.ports.stores.event_steps.clone(), self.ports.clock.clone());
        events::HandleSteps::new(work, steps, clock, self.bells.clone(), self.node.hindrances.clone())
    }

    fn drain_spool(&self) -> Option<events::DrainSpool> {
        Some(self.receiver.as_ref()?.drain_spool(&self.ports.stores, self.bells.clone()))
    }

    fn tell_changes(&self) -> status_webhooks::TellChanges {
        let ThisNode { identity, held, unreconciled, .. } = self.node.clone();
        status_webhooks::TellChanges {
            changes: self.ports.stores.status_changes.clone(),
            queue: self.queue.clone(),
            identity,
            held,
            unreconciled,
            clock: self.ports.clock.clone(),
            ids: self.ports.ids.clone(),
            looked_at: None,
        }
    }

    fn consume_messages(&self, brokered: &Brokered) -> Option<Arc<delivery::ConsumeMessages>> {
        let source = brokered.source.clone()?;
        Some(Arc::new(delivery::ConsumeMessages {
            source,
            broker: brokered.broker.clone(),
            deliver: self.deliver_message.clone(),
            put_off: self.ports.put_off_message(&self.deliver_message),
            admission: self.admission.clone(),
            messages: self.ports.stores.messages.clone(),
            dead_letters: brokered.dead_letters.clone(),
            channels: self.channels.clone(),
            clock: self.ports.clock.clone(),
            tasks: self.ports.tasks.clone(),
            limits: self.settings.limits,
        }))
    }
}
