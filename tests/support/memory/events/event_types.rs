use async_trait::async_trait;
use correio::application::ports::{EventType, EventTypes, RepositoryError};
use correio::domain::access::principal::Tenant;
use correio::domain::event::kind::folded;

use crate::support::memory::database::MemoryDatabase;
use crate::support::memory::tables::Tables;

pub struct MemoryEventTypes {
    database: MemoryDatabase,
}

impl MemoryEventTypes {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl EventTypes for MemoryEventTypes {
    async fn put(&self, event_type: &EventType) -> Result<bool, RepositoryError> {
        let put = |tables: &mut Tables| {
            let key = (event_type.tenant.clone(), folded(&event_type.name));
            Ok(tables.event_types.insert(key, event_type.clone()).is_none())
        };
        self.database.run_now("event_types.put", put).await
    }

    async fn find(&self, tenant: &Tenant, letters: &str) -> Result<Option<EventType>, RepositoryError> {
        let key = (tenant.clone(), letters.to_owned());
        self.database.run_now("event_types.find", |tables| Ok(tables.event_types.get(&key).cloned())).await
    }

    async fn list(&self, tenant: &Tenant) -> Result<Vec<EventType>, RepositoryError> {
        let list = |tables: &mut Tables| {
            Ok(tables.event_types.values().filter(|it| it.tenant == *tenant).cloned().collect::<Vec<_>>())
        };
        self.database.run_now("event_types.list", list).await
    }

    async fn delete(&self, tenant: &Tenant, letters: &str) -> Result<bool, RepositoryError> {
        let key = (tenant.clone(), letters.to_owned());
        self.database.run_now("event_types.delete", |tables| Ok(tables.event_types.remove(&key).is_some())).await
    }
}
