//! One content for many.

use crate::application::broadcasts;
use crate::application::gateway::Broadcasts;
use crate::application::gateway::Groups;
use crate::application::gateway::Ports;
use crate::application::gateway::Settings;
use crate::application::groups;
use crate::application::messages;
use crate::application::messages::open_bound::OpenBound;
use crate::application::node::this_node::ThisNode;
use std::sync::Arc;

impl Ports {
    pub(in crate::application::gateway) fn broadcasts(
        &self,
        node: &ThisNode,
        settings: &Settings,
        open_bound: Arc<OpenBound>,
    ) -> Broadcasts {
        let (broadcasts, clock) = (self.stores.broadcasts.clone(), self.clock.clone());
        let (node_timeout, longest_try) = (node.identity.timeout(), self.channels.longest_try());
        Broadcasts {
            send: broadcasts::SendBroadcast {
                broadcasts: broadcasts.clone(),
                groups: self.stores.groups.clone(),
                members: self.stores.group_members.clone(),
                instances: self.stores.instances.clone(),
                channels: self.channels.clone(),
                identity: node.identity.clone(),
                clock: clock.clone(),
                ids: self.ids.clone(),
                max_tries: settings.max_tries,
                messages: self.stores.messages.clone(),
                open_bound,
            },
            read: broadcasts::ReadBroadcasts { broadcasts: broadcasts.clone() },
            change: broadcasts::ChangeBroadcast {
                broadcasts,
                clock,
                claims_in_doubt: messages::CancelMessage::claims_in_doubt(node_timeout, longest_try),
            },
        }
    }

    pub(in crate::application::gateway) fn groups(&self, callers_wait: bool) -> Groups {
        let (groups, members) = (self.stores.groups.clone(), self.stores.group_members.clone());
        let (instances, clock, ids) = (self.stores.instances.clone(), self.clock.clone(), self.ids.clone());
        Groups {
            create: groups::CreateGroup {
                groups: groups.clone(),
                instances: instances.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            read: groups::ReadGroups { groups: groups.clone(), members: members.clone() },
            change: groups::ChangeGroups { groups: groups.clone(), clock: clock.clone() },
            members: groups::ChangeMembers {
                groups: groups.clone(),
                members: members.clone(),
                instances: instances.clone(),
                channels: self.channels.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
            },
            send: groups::SendToGroup {
                groups,
                instances: instances.clone(),
                broadcasts: self.stores.broadcasts.clone(),
                members,
                clock: clock.clone(),
                callers_wait,
            },
            sync: groups::SyncGroups {
                instances,
                syncs: self.stores.group_syncs.clone(),
                channels: self.channels.clone(),
                cipher: self.cipher.clone(),
                clock,
                ids,
            },
        }
    }
}
