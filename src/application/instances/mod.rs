//! The configured channels: made, shown, changed, deleted and emptied; whether their credentials can be opened.

pub mod check_credentials;
pub mod create_instance;
pub mod delete_instance;
pub mod empty_deleted_instances;
pub mod read_instances;
pub mod update_instance;
