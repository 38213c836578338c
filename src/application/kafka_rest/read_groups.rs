use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::application::ports::{
    AdministrationError, Group, GroupAdministration, GroupState, ListedGroup, Member, Place, TopicAdministration,
    TopicPartition,
};

/// Consumer groups, and how far each has come.
pub struct ReadGroups {
    pub topics: Arc<dyn TopicAdministration>,
    pub groups: Arc<dyn GroupAdministration>,
}

/// A group with a line for each partition of the topics that it has committed in, or reads: also where its members have stopped,
/// and where it has committed nothing yet.
#[derive(Clone, Debug)]
pub struct GroupLags {
    pub group: Group,
    /// In order.
    pub lines: Vec<Lag>,
}

#[derive(Clone, Debug)]
pub struct Lag {
    pub place: TopicPartition,
    pub committed: Option<i64>,
    /// Where the partition begins and ends. None: the topic is gone.
    pub beginning: Option<i64>,
    pub end: Option<i64>,
    /// Who reads it.
    pub member: Option<Member>,
}

impl Lag {
    /// Where the group goes on: at what it has committed, else at the oldest record.
    pub fn current(&self) -> Option<i64> {
        self.committed.or(self.beginning)
    }

    /// Records that the group has not read.
    pub fn lag(&self) -> Option<i64> {
        Some((self.end? - self.current()?).max(0))
    }
}

impl ReadGroups {
    pub async fn list(&self) -> Result<Vec<ListedGroup>, AdministrationError> {
        self.groups.list().await
    }

    /// None when there is no such group.
    pub async fn find(&self, group: &str) -> Result<Option<Group>, AdministrationError> {
        let found = self.groups.describe(group).await?;
        let is_gone = found.state == GroupState::Dead && found.members.is_empty();
        // What has committed and has no members is there, whatever its state is called.
        if is_gone && self.groups.committed(group).await?.is_empty() {
            return Ok(None);
        }
        Ok(Some(found))
    }

    /// None when there is no such group.
    pub async fn lags(&self, group: &str) -> Result<Option<GroupLags>, AdministrationError> {
        let Some(group) = self.find(group).await? else { return Ok(None) };
        let committed = self.groups.committed(&group.id).await?;
        let committed: BTreeMap<_, _> = committed.into_iter().map(|each| (each.place, each.offset)).collect();
        let mut members = BTreeMap::new();
        for member in &group.members {
            members.extend(member.assigned.iter().map(|place| (place.clone(), member.clone())));
        }
        let known: BTreeSet<&str> = committed.keys().chain(members.keys()).map(|place| place.topic.as_str()).collect();
        let there = self.partitions(&known).await?;
        let (beginnings, ends) = self.offsets(&there).await?;
        let mut places: BTreeSet<TopicPartition> = there.into_iter().collect();
        places.extend(committed.keys().cloned());
        let lines = places.into_iter().map(|place| Lag {
            committed: committed.get(&place).copied(),
            beginning: beginnings.get(&place).copied(),
            end: ends.get(&place).copied(),
            member: members.get(&place).cloned(),
            place,
        });
        Ok(Some(GroupLags { lines: lines.collect(), group }))
    }

    /// All partitions of those topics that are there.
    async fn partitions(&self, topics: &BTreeSet<&str>) -> Result<Vec<TopicPartition>, AdministrationError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.topics.names().await?;
        let there: Vec<String> = names.into_iter().filter(|name| topics.contains(name.as_str())).collect();
        let described = self.topics.describe(&there).await?;
        let mut places = Vec::new();
        for topic in described {
            let ids = topic.partitions.iter().map(|partition| partition.id);
            places.extend(ids.map(|partition| TopicPartition { topic: topic.name.clone(), partition }));
        }
        Ok(places)
    }

    async fn offsets(&self, places: &[TopicPartition]) -> Result<(Offsets, Offsets), AdministrationError> {
        let beginnings = self.topics.offsets(places, Place::Beginning).await?;
        let ends = self.topics.offsets(places, Place::End).await?;
        let by_place = |offsets: Vec<i64>| places.iter().cloned().zip(offsets).collect();
        Ok((by_place(beginnings), by_place(ends)))
    }
}

type Offsets = BTreeMap<TopicPartition, i64>;
