//! Who calls, and the keys that callers are given.

pub mod authenticate;
pub mod issue_api_key;
