//! How every message ends, whatever dies.

mod crash;
mod dead_letters;
mod failover;
mod outages;
