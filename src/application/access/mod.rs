//! Authenticating callers, and issuing their API keys.

pub mod authenticate;
pub mod issue_api_key;
