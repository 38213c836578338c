//! How every message ends, whatever dies.

mod acls;
mod crash;
mod dead_letters;
mod failover;
mod group_members;
mod kafka_troubles;
mod outages;
mod rolling_update;
