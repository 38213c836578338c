//! How every message ends, whatever dies.

mod crash;
mod dead_letters;
mod failover;
mod group_members;
mod outages;
mod rolling_update;
