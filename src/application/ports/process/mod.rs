//! What a process has around it: time, ids, randomness, tasks, and the verification of tokens.

mod clock;
mod ids;
mod randomness;
mod tasks;
mod token_verifier;

pub use clock::Clock;
pub use ids::Ids;
pub use randomness::Randomness;
pub use tasks::Tasks;
pub use token_verifier::{TokenError, TokenVerifier};
