//! What a process has around it: time, ids, randomness, tasks, passwords and tokens.

mod clock;
mod ids;
mod passwords;
mod randomness;
mod tasks;
mod token_issuer;
mod token_verifier;

pub use clock::Clock;
pub use ids::Ids;
pub use passwords::{Passwords, PasswordsError};
pub use randomness::Randomness;
pub use tasks::Tasks;
pub use token_issuer::TokenIssuer;
pub use token_verifier::{TokenError, TokenVerifier};
