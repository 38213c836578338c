//! What a test asks of an adapter.

use std::any::Any;
use std::ops::Deref;

use correio::application::ports::Stores;

/// One implementation of every storage port, over one fresh database.
pub struct Adapters {
    pub stores: Stores,
    /// As another process has them, over the same database; where there can be one.
    beside: Option<Stores>,
    /// Cleans up when it is dropped.
    pub _database: Box<dyn Any + Send + Sync>,
}

impl Adapters {
    pub fn new(stores: Stores, database: impl Any + Send + Sync) -> Self {
        Self { stores, beside: None, _database: Box::new(database) }
    }

    /// With what another process has.
    pub fn beside(self, stores: Stores) -> Self {
        Self { beside: Some(stores), ..self }
    }

    /// The stores of a process by its number; every second one is another process's.
    pub fn of_process(&self, number: usize) -> &Stores {
        self.beside.as_ref().filter(|_| number % 2 == 1).unwrap_or(&self.stores)
    }

    /// These stores, for as long as the database of these adapters lives.
    pub fn with(&self, change: impl FnOnce(&mut Stores)) -> Self {
        let mut stores = self.stores.clone();
        change(&mut stores);
        Self::new(stores, ())
    }
}

impl Deref for Adapters {
    type Target = Stores;

    fn deref(&self) -> &Stores {
        &self.stores
    }
}
