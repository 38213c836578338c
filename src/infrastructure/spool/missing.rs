//! What stands in for a spool where the disk does not let there be one.

use async_trait::async_trait;

use crate::application::ports::{EventSpool, NewEvent, Portion, SpoolError, SpoolStanding};

/// Keeps nothing, and says why.
pub struct MissingSpool(pub String);

impl MissingSpool {
    fn refused(&self) -> SpoolError {
        SpoolError::Unusable(self.0.clone())
    }
}

#[async_trait]
impl EventSpool for MissingSpool {
    async fn append(&self, _: &NewEvent) -> Result<(), SpoolError> {
        Err(self.refused())
    }

    async fn oldest(&self) -> Result<Option<Portion>, SpoolError> {
        Ok(None)
    }

    async fn discard(&self, _: u64) -> Result<(), SpoolError> {
        Ok(())
    }

    async fn set_aside(&self, _: &NewEvent, _: &str) -> Result<(), SpoolError> {
        Err(self.refused())
    }

    fn standing(&self) -> SpoolStanding {
        SpoolStanding { is_failing: true, troubles: vec![self.0.clone()], ..SpoolStanding::default() }
    }
}
