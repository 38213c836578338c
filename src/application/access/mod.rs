//! Authenticating callers, and issuing their API keys.

pub mod authenticate;
pub use authenticate::Authenticate;

pub mod issue_api_key;
pub use issue_api_key::IssueApiKey;

pub mod met_tenants;

pub mod watch_tenants;
pub use watch_tenants::WatchTenants;
