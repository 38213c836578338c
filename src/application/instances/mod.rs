//! The configured channels: made, shown, changed, deleted.

pub mod create_instance;
pub mod delete_instance;
pub mod read_instances;
pub mod update_instance;
