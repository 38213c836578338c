//! Publishing to topics.

mod topic_producer;
