//! The configured channels: made, shown, changed, deleted; whether their credentials can be opened.

pub mod check_credentials;
pub mod create_instance;
pub mod delete_instance;
pub mod read_instances;
pub mod update_instance;
