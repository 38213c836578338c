use async_trait::async_trait;
use correio::application::ports::{RepositoryError, SubscriptionRepository};
use correio::domain::access::principal::Tenant;
use correio::domain::subscription::{Subscription, SubscriptionId};

use crate::support::memory::database::MemoryDatabase;
use crate::support::memory::tables::Tables;

pub struct MemorySubscriptionRepository {
    database: MemoryDatabase,
}

impl MemorySubscriptionRepository {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

fn is_taken(tables: &Tables, new: &Subscription) -> bool {
    let others = tables.subscriptions.values().filter(|other| other.id != new.id);
    others.into_iter().any(|other| other.tenant == new.tenant && other.name == new.name)
}

#[async_trait]
impl SubscriptionRepository for MemorySubscriptionRepository {
    async fn insert(&self, subscription: &Subscription) -> Result<(), RepositoryError> {
        let insert = |tables: &mut Tables| {
            if tables.subscriptions.contains_key(&subscription.id) || is_taken(tables, subscription) {
                return Err(RepositoryError::Conflict);
            }
            tables.subscriptions.insert(subscription.id, subscription.clone());
            Ok(())
        };
        self.database.run_now("subscriptions.insert", insert).await
    }

    async fn find(&self, tenant: &Tenant, id: SubscriptionId) -> Result<Option<Subscription>, RepositoryError> {
        let find = |tables: &mut Tables| {
            Ok(tables.subscriptions.get(&id).filter(|subscription| subscription.tenant == *tenant).cloned())
        };
        self.database.run_now("subscriptions.find", find).await
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<Subscription>, RepositoryError> {
        let list = |tables: &mut Tables| {
            let of_tenant = tables.subscriptions.values().filter(|subscription| subscription.tenant == *tenant);
            let mut listed: Vec<Subscription> = of_tenant.cloned().collect();
            listed.sort_by_key(|subscription| (subscription.created_at, subscription.id));
            Ok(listed)
        };
        self.database.run_now("subscriptions.list", list).await
    }

    async fn update(&self, subscription: &Subscription) -> Result<bool, RepositoryError> {
        let update = |tables: &mut Tables| {
            if is_taken(tables, subscription) {
                return Err(RepositoryError::Conflict);
            }
            let found = tables.subscriptions.get_mut(&subscription.id);
            let Some(found) = found.filter(|found| found.tenant == subscription.tenant) else { return Ok(false) };
            let (user_id, created_at) = (found.user_id.clone(), found.created_at);
            *found = Subscription { user_id, created_at, ..subscription.clone() };
            Ok(true)
        };
        self.database.run_now("subscriptions.update", update).await
    }

    async fn delete(&self, tenant: &Tenant, id: SubscriptionId) -> Result<bool, RepositoryError> {
        let delete = |tables: &mut Tables| {
            let is_there = tables.subscriptions.get(&id).is_some_and(|subscription| subscription.tenant == *tenant);
            Ok(is_there && tables.subscriptions.remove(&id).is_some())
        };
        self.database.run_now("subscriptions.delete", delete).await
    }
}
