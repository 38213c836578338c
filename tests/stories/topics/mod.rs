//! Clients that publish to topics, and the operators who look after them.

mod migrating;
mod outages;
mod outbox;
mod publishing;
mod watching;
