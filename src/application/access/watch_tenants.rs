use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::met_tenants::MetTenants;
use crate::application::Stop;
use crate::application::ports::{ApiKeyRepository, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::access::principal::Tenant;

/// Looks for tenants that other processes have met.
pub struct WatchTenants {
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub tenants: MetTenants,
}

impl WatchTenants {
    /// # Errors
    /// When the database does not answer.
    pub async fn look(&self) -> Result<(), RepositoryError> {
        if self.tenants.are_several() {
            return Ok(());
        }
        if self.api_keys.has_tenant_beside(Tenant::DEFAULT).await? {
            self.tenants.met_another();
        }
        Ok(())
    }
}

#[async_trait]
impl Repeated for WatchTenants {
    fn name(&self) -> &'static str {
        "tenants"
    }

    fn purpose(&self) -> &'static str {
        "look for a second tenant"
    }

    fn interval(&self) -> Duration {
        // What is known stays so.
        if self.tenants.are_several() { Duration::from_secs(24 * 60 * 60) } else { Duration::from_secs(5) }
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        self.look().await
    }
}
