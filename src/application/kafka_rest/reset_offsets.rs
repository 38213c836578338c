use std::collections::BTreeMap;
use std::sync::Arc;

use crate::application::ports::{
    AdministrationError, CommittedOffset, Group, GroupAdministration, GroupState, Place, TopicAdministration,
    TopicPartition,
};

/// Moves a consumer group to another place in its topics, while none of its members is there.
pub struct ResetOffsets {
    pub topics: Arc<dyn TopicAdministration>,
    pub groups: Arc<dyn GroupAdministration>,
    /// One that is not moved: messages are delivered by it.
    pub own_group: Option<String>,
}

/// Of which partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Of all topics that the group has committed in.
    AllTopics,
    /// Of these topics, all partitions or some.
    Topics(Vec<(String, Option<Vec<i32>>)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    Earliest,
    Latest,
    Offset(i64),
    /// The first record that is not older than these milliseconds since 1970.
    Time(i64),
    /// So many records later, or earlier.
    ShiftBy(i64),
    /// Where it is: it is written down also where nothing was committed.
    Current,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOffset {
    pub place: TopicPartition,
    pub from: Option<i64>,
    pub to: i64,
}

#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    #[error("the group `{0}` is Correio's own (KAFKA_GROUP_ID): what it has not delivered yet would be passed over")]
    OwnGroup(String),
    #[error("the group `{group}` is {}; stop its consumers first", state.as_word())]
    Active { group: String, state: GroupState },
    /// It has committed nothing, and no topic was named.
    #[error("there is no group `{0}`, or it has committed nothing")]
    UnknownGroup(String),
    #[error("there is no topic `{0}`")]
    UnknownTopic(String),
    #[error("the topic `{}` has no partition {}", .0.topic, .0.partition)]
    UnknownPartition(TopicPartition),
    #[error(transparent)]
    Administration(#[from] AdministrationError),
}

impl ResetOffsets {
    /// What each partition gets, which with `dry_run` is not written.
    ///
    /// # Errors
    /// [`ResetError::Active`] while the group has members, with `dry_run` too.
    pub async fn execute(
        &self,
        group: &str,
        selection: &Selection,
        to: ResetTo,
        dry_run: bool,
    ) -> Result<Vec<NewOffset>, ResetError> {
        if self.own_group.as_deref() == Some(group) {
            return Err(ResetError::OwnGroup(group.to_owned()));
        }
        let found = self.groups.describe(group).await?;
        if is_active(&found) {
            return Err(ResetError::Active { group: group.to_owned(), state: found.state });
        }
        let committed = self.groups.committed(group).await?;
        let committed: BTreeMap<_, _> = committed.into_iter().map(|each| (each.place, each.offset)).collect();
        let places = match selection {
            Selection::AllTopics => self.of_all(&committed).await?,
            Selection::Topics(topics) => self.of(topics).await?,
        };
        if places.is_empty() {
            return Err(ResetError::UnknownGroup(group.to_owned()));
        }
        let offsets = self.targets(places, &committed, to).await?;
        if !dry_run {
            let commits: Vec<_> =
                offsets.iter().map(|new| CommittedOffset { place: new.place.clone(), offset: new.to }).collect();
            self.groups.commit(group, &commits).await.map_err(|error| match error {
                AdministrationError::Active(_) => {
                    ResetError::Active { group: group.to_owned(), state: GroupState::Stable }
                }
                error => error.into(),
            })?;
        }
        Ok(offsets)
    }

    async fn of_all(&self, committed: &BTreeMap<TopicPartition, i64>) -> Result<Vec<TopicPartition>, ResetError> {
        let names = self.topics.names().await?;
        let mut topics: Vec<String> = committed.keys().map(|place| place.topic.clone()).collect();
        topics.dedup();
        // What was committed in a topic that is gone leads nowhere.
        topics.retain(|topic| names.binary_search(topic).is_ok());
        let all: Vec<_> = topics.into_iter().map(|topic| (topic, None)).collect();
        self.of(&all).await
    }

    async fn of(&self, topics: &[(String, Option<Vec<i32>>)]) -> Result<Vec<TopicPartition>, ResetError> {
        let mut places = Vec::new();
        for (name, wanted) in topics {
            let described = self.topics.describe(std::slice::from_ref(name)).await;
            let described = described.map_err(|error| match error {
                AdministrationError::Unknown(_) => ResetError::UnknownTopic(name.clone()),
                error => error.into(),
            })?;
            let there: Vec<i32> =
                described.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.id).collect();
            let place = |partition| TopicPartition { topic: name.clone(), partition };
            if let Some(away) = wanted.iter().flatten().find(|wanted| !there.contains(wanted)) {
                return Err(ResetError::UnknownPartition(place(*away)));
            }
            places.extend(wanted.clone().unwrap_or(there).into_iter().map(place));
        }
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }

    /// Within what each partition has.
    async fn targets(
        &self,
        places: Vec<TopicPartition>,
        committed: &BTreeMap<TopicPartition, i64>,
        to: ResetTo,
    ) -> Result<Vec<NewOffset>, AdministrationError> {
        let beginnings = self.topics.offsets(&places, Place::Beginning).await?;
        let ends = self.topics.offsets(&places, Place::End).await?;
        let times = match to {
            ResetTo::Time(millis) => self.topics.offsets(&places, Place::Time(millis)).await?,
            _ => ends.clone(),
        };
        let bounds = beginnings.into_iter().zip(ends).zip(times);
        let new = places.into_iter().zip(bounds).map(|(place, ((beginning, end), time))| {
            let from = committed.get(&place).copied();
            let wanted = match to {
                ResetTo::Earliest => beginning,
                ResetTo::Latest => end,
                ResetTo::Offset(offset) => offset,
                ResetTo::Time(_) => time,
                ResetTo::ShiftBy(records) => from.unwrap_or(beginning).saturating_add(records),
                // Kafka's tool goes to the end where nothing was committed; what was never read would be passed over.
                ResetTo::Current => from.unwrap_or(beginning),
            };
            NewOffset { place, from, to: wanted.min(end).max(beginning) }
        });
        Ok(new.collect())
    }
}

fn is_active(group: &Group) -> bool {
    !group.members.is_empty() || !matches!(group.state, GroupState::Empty | GroupState::Dead | GroupState::Unknown)
}
