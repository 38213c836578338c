use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use sha2::{Digest, Sha256};
use tracing::debug;

use super::connect_instance::ConnectInstance;
use crate::application::Stop;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::ports::{NodeRepository, RepositoryError};
use crate::application::receipts::heard_instances::HeardInstances;
use crate::application::service::Repeated;
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::node::NodeId;

/// Asks providers how instances are connected that have said nothing of themselves: events get lost, and some providers keep
/// quiet about connections that they have lost. Of several processes one asks for each instance.
pub struct WatchConnections {
    connect: ConnectInstance,
    nodes: Arc<dyn NodeRepository>,
    identity: NodeIdentity,
    heard: HeardInstances,
    /// When each was looked at closely, by the monotonic clock.
    looked_closely: HashMap<InstanceId, Duration>,
}

const INTERVAL: Duration = Duration::from_secs(60);

/// What does not change by itself.
const CLOSELY_EACH: Duration = Duration::from_secs(3_600);

/// Instances that are read at once.
const PORTION: u32 = 200;

/// Providers that are asked at the same time: some do not answer for long.
const AT_ONCE: usize = 16;

impl WatchConnections {
    pub fn new(
        connect: ConnectInstance,
        nodes: Arc<dyn NodeRepository>,
        identity: NodeIdentity,
        heard: HeardInstances,
    ) -> Self {
        Self { connect, nodes, identity, heard, looked_closely: HashMap::new() }
    }

    async fn look(&self, mut instance: Instance, closely: bool) -> Option<InstanceId> {
        let is_recent = self.heard.has_heard(instance.id, self.connect.clock.monotonic(), INTERVAL);
        let mut looked = if is_recent { Ok(()) } else { self.connect.look(&mut instance).await };
        if closely && looked.is_ok() {
            looked = self.connect.look_closely(&mut instance).await;
        }
        match looked {
            Ok(()) => closely.then_some(instance.id),
            Err(error) => {
                debug!(instance.id = %instance.id, %error, "whether the instance is connected is not known");
                None
            }
        }
    }
}

/// Of these processes, the one that looks at an instance: each finds the same one, and when one comes or goes, few instances
/// change hands.
fn watcher(instance: InstanceId, processes: &[NodeId]) -> Option<NodeId> {
    let rank = |process: &NodeId| {
        let digest = Sha256::new().chain_update(process.0.as_bytes()).chain_update(instance.0.as_bytes()).finalize();
        <[u8; 32]>::from(digest)
    };
    processes.iter().copied().min_by_key(rank)
}

#[async_trait]
impl Repeated for WatchConnections {
    fn name(&self) -> &'static str {
        "connections"
    }

    fn purpose(&self) -> &'static str {
        "look whether instances are connected"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        let channels = self.connect.channels.connectable();
        let here = self.identity.current_or_wait().await?;
        let nodes = self.nodes.all().await?;
        // All names of a process stand for one.
        let processes: BTreeSet<NodeId> = nodes.iter().filter(|row| !row.departed).map(|row| row.process).collect();
        let processes: Vec<NodeId> = processes.into_iter().collect();
        let Some(ours) = nodes.iter().find(|row| row.id == here).map(|row| row.process) else { return Ok(()) };
        let is_ours = |instance: &Instance| watcher(instance.id, &processes) == Some(ours);
        let mut after = None;
        loop {
            let portion = self.connect.instances.of_channels(&channels, after, PORTION).await?;
            let Some(last) = portion.last().map(|instance| instance.id) else { break };
            after = Some(last);
            let now = self.connect.clock.monotonic();
            let looks = portion.into_iter().filter(is_ours).map(|instance| {
                let before = self.looked_closely.get(&instance.id);
                let closely = before.is_none_or(|before| now.saturating_sub(*before) >= CLOSELY_EACH);
                self.look(instance, closely)
            });
            let mut looked = stream::iter(looks.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
            let mut closely = Vec::new();
            while let Some(instance) = looked.next().await {
                closely.extend(instance);
                if stop.clone().now_or_never().is_some() {
                    return Ok(());
                }
            }
            drop(looked);
            self.looked_closely.extend(closely.into_iter().map(|instance| (instance, now)));
        }
        let now = self.connect.clock.monotonic();
        // Of instances that were deleted, or are another process's by now.
        self.looked_closely.retain(|_, at| now.saturating_sub(*at) < 2 * CLOSELY_EACH);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_process_finds_the_same_watcher_and_all_get_their_share() {
        let nodes: Vec<NodeId> = (1..=4).map(|number| NodeId(Uuid::from_u128(number))).collect();
        let instances: Vec<InstanceId> = (0..400).map(|number| InstanceId(Uuid::from_u128(number << 64))).collect();
        let mut backwards = nodes.clone();
        backwards.reverse();
        let mut shares = HashMap::new();
        for instance in &instances {
            let found = watcher(*instance, &nodes).unwrap();
            assert_eq!(watcher(*instance, &backwards), Some(found));
            // When another has gone, what it did not watch stays where it is.
            let others: Vec<NodeId> =
                nodes.iter().copied().filter(|node| *node == found || *node == nodes[0]).collect();
            assert_eq!(watcher(*instance, &others), Some(found));
            *shares.entry(found).or_insert(0) += 1;
        }
        assert!(shares.len() == 4 && shares.values().all(|share| *share > 50), "{shares:?}");
        assert_eq!(watcher(instances[0], &[]), None);
    }
}
