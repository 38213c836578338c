//! Authenticating callers, signing users in, counting requests, and issuing API keys.

pub mod authenticate;
pub use authenticate::Authenticate;

pub mod forget_old_counts;
pub use forget_old_counts::ForgetOldCounts;

pub mod issue_api_key;
pub use issue_api_key::IssueApiKey;

pub mod limit_requests;
pub use limit_requests::LimitRequests;

pub mod met_tenants;

pub mod sign_in;
pub use sign_in::SignIn;

pub mod watch_tenants;
pub use watch_tenants::WatchTenants;
