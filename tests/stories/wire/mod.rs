//! What every route answers to a request that is not as it should be.

mod bodies;
mod errors;
