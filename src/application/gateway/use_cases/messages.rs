//! Messages: accepted, delivered, looked at.

use crate::application::delivery;
use crate::application::delivery::admission::Admission;
use crate::application::gateway::Messages;
use crate::application::gateway::Ports;
use crate::application::gateway::Settings;
use crate::application::gateway::Topics;
use crate::application::gateway::replay_messages;
use crate::application::messages;
use crate::application::messages::not_before::NotBefore;
use crate::application::messages::open_bound::OpenBound;
use crate::application::messages::turn::Turns;
use crate::application::messages::waiting_callers::WaitingCallers;
use crate::application::node::this_node::ThisNode;
use crate::application::ports::MessageQueue;
use crate::application::topics;
use crate::domain::message::MessageStatus;
use crate::domain::message::dead_letter::DeadLetterPolicy;
use std::sync::Arc;

impl Ports {
    pub(in crate::application::gateway) fn deliver_message(
        &self,
        node: &ThisNode,
        settings: &Settings,
        dead_letters: DeadLetterPolicy,
        admission: Admission,
    ) -> delivery::DeliverMessage {
        let ThisNode { identity, held, answered, early, confirmations, tally, tenants, .. } = node.clone();
        delivery::DeliverMessage {
            messages: self.stores.messages.clone(),
            instances: self.stores.instances.clone(),
            channels: self.channels.clone(),
            cipher: self.cipher.clone(),
            identity,
            held,
            answered,
            early,
            confirmations,
            clock: self.clock.clone(),
            randomness: self.randomness.clone(),
            policy: settings.retry.clone(),
            dead_letters,
            tally,
            tenants,
            admission,
            receipts: self.receive_receipts(dead_letters),
            one_call: delivery::OneCall {
                turns: self.stores.call_turns.clone(),
                clock: self.clock.clone(),
                tasks: self.tasks.clone(),
            },
        }
    }

    pub(in crate::application::gateway) fn put_off_message(
        &self,
        deliver: &Arc<delivery::DeliverMessage>,
    ) -> delivery::PutOffMessage {
        delivery::PutOffMessage {
            messages: self.stores.messages.clone(),
            deliver: deliver.clone(),
            clock: self.clock.clone(),
            pacing: deliver.admission.pacing().clone(),
        }
    }

    pub(in crate::application::gateway) fn messages(
        &self,
        node: &ThisNode,
        settings: &Settings,
        queue: Arc<dyn MessageQueue>,
        admission: &Admission,
        open_bound: Arc<OpenBound>,
    ) -> Messages {
        let ThisNode { identity, held, unreconciled, early, tally, tenants, .. } = node.clone();
        let node_timeout = identity.timeout();
        let callers_wait = queue.waiting_status() == MessageStatus::Pending;
        Messages {
            send: messages::SendMessage {
                messages: self.stores.messages.clone(),
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
                queue,
                identity,
                held,
                turns: Turns::new(self.ids.clone(), self.clock.clone(), callers_wait),
                callers: WaitingCallers::among(callers_wait.then_some(settings.requests), tenants),
                unreconciled,
                early,
                clock: self.clock.clone(),
                tally,
                max_tries: settings.max_tries,
                direct_timeout: settings.direct_timeout,
                open_bound,
                broadcasts: self.stores.broadcasts.clone(),
                not_before: NotBefore { pacing: admission.pacing().clone(), clock: self.clock.clone() },
            },
            read: messages::ReadMessages {
                search: self.stores.search.clone(),
                channels: self.channels.clone(),
                stuck: self.stuck_rule(settings),
                clock: self.clock.clone(),
            },
            cancel: messages::CancelMessage {
                cancellations: self.stores.cancellations.clone(),
                clock: self.clock.clone(),
                claims_in_doubt: messages::CancelMessage::claims_in_doubt(node_timeout, self.channels.longest_try()),
            },
            replay: replay_messages(&self.stores, self.clock.clone()),
        }
    }

    /// One for all that makes messages.
    pub(in crate::application::gateway) fn open_bound(&self, settings: &Settings) -> Arc<OpenBound> {
        let (search, broadcasts) = (self.stores.search.clone(), self.stores.broadcasts.clone());
        Arc::new(OpenBound::new(search, broadcasts, self.clock.clone(), settings.max_open_per_tenant))
    }

    pub(in crate::application::gateway) fn topics(
        &self,
        node: &ThisNode,
        deliver: Arc<delivery::DeliverMessage>,
    ) -> Topics {
        Topics {
            publish: topics::PublishRecords {
                messages: self.stores.messages.clone(),
                instance: topics::TopicsInstance {
                    instances: self.stores.instances.clone(),
                    create: self.create_instance(node),
                },
                deliver,
                node: node.clone(),
                ids: self.ids.clone(),
                clock: self.clock.clone(),
                tasks: self.tasks.clone(),
            },
        }
    }
}
