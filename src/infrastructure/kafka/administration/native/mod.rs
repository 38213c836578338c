//! librdkafka's administrative calls as safe functions: its crate has none for groups, and leaves out the broker's own words in
//! the others. The only place with `unsafe`; each function waits for its answer.

#![allow(unsafe_code)]

mod call;
mod groups;
mod offsets;
mod owned;
mod refused;
mod settings;
mod topics;

pub use call::NativeClient;
pub use groups::{alter_offsets, committed_offsets, describe_group, list_groups};
pub use offsets::list_offsets;
pub use refused::Refused;
pub use settings::{alter_settings, describe_settings};
pub use topics::{create_topic, delete_topic, describe_cluster, describe_topics, set_partitions, topic_names};
