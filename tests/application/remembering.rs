//! Instances that whoever accepts remembers for a moment.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use correio::application::ports::{InstanceRepository, RepositoryError};
use correio::domain::instance::{Instance, InstanceChange};
use correio::infrastructure::storage::caching::CachedInstances;

use crate::support::databases::memory;
use crate::support::gated_instances::GatedInstances;
use crate::support::given::{at, instance};

struct Story {
    database: Arc<GatedInstances>,
    remembered: Arc<CachedInstances>,
    instance: Instance,
}

impl Story {
    async fn begin() -> Self {
        let instances = memory().await.unwrap().stores.instances;
        let instance = instance("acme", "hook");
        instances.insert(&instance).await.unwrap();
        let database = Arc::new(GatedInstances::new(instances));
        Self { remembered: Arc::new(CachedInstances::new(database.clone())), database, instance }
    }

    async fn find(remembered: &CachedInstances, like: &Instance) -> Result<Option<Instance>, RepositoryError> {
        remembered.find_by_name(&like.tenant, &like.channel, &like.channel_instance_id).await
    }

    async fn address(&self) -> Option<String> {
        Some(Self::find(&self.remembered, &self.instance).await.unwrap()?.channel_phone_or_id)
    }

    async fn moves(&self) {
        let address = Some("https://example.org/moved".to_owned());
        let change = InstanceChange { channel_phone_or_id: address, ..InstanceChange::default() };
        let updated = self.remembered.update(&self.instance.tenant, self.instance.id, &change, at(5)).await;
        assert!(updated.unwrap().is_some());
    }
}

#[tokio::test]
async fn the_database_is_asked_once_for_what_is_found_and_always_for_what_is_not() {
    let story = Story::begin().await;
    story.database.gate.add_permits(10);
    assert_eq!(story.address().await.as_deref(), Some("https://example.org/hook"));
    assert_eq!(story.address().await.as_deref(), Some("https://example.org/hook"));
    assert_eq!(story.database.read.load(Ordering::SeqCst), 1);

    let unknown = Instance { channel_instance_id: "other".to_owned(), ..story.instance.clone() };
    for _ in 0..2 {
        assert!(Story::find(&story.remembered, &unknown).await.unwrap().is_none());
    }
    assert_eq!(story.database.read.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_change_is_seen_at_once() {
    let story = Story::begin().await;
    story.database.gate.add_permits(10);
    story.address().await;
    story.moves().await;
    assert_eq!(story.address().await.as_deref(), Some("https://example.org/moved"));

    let gone = &story.instance;
    assert!(story.remembered.delete(&gone.tenant, gone.id, gone.updated_at).await.unwrap());
    assert_eq!(story.address().await, None);
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_remembered_after_it() {
    let story = Story::begin().await;
    let (remembered, like) = (story.remembered.clone(), story.instance.clone());
    let reading = tokio::spawn(async move { Story::find(&remembered, &like).await });
    while story.database.read.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    story.moves().await;
    story.database.gate.add_permits(10);
    assert_eq!(reading.await.unwrap().unwrap().unwrap().channel_phone_or_id, "https://example.org/hook");
    assert_eq!(story.address().await.as_deref(), Some("https://example.org/moved"));
}
