//! Keys, tokens and users.

pub mod first_key;
pub mod keys;
pub mod token;
pub mod users;
