//! Authenticating callers, and issuing their API keys.

pub mod authenticate;
pub use authenticate::Authenticate;

pub mod issue_api_key;
pub use issue_api_key::IssueApiKey;
