//! Users sign in, and requests are counted.

pub mod limits;
pub mod sign_in;
