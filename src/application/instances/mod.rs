//! The configured channels: made, shown, changed, deleted and emptied; whether their credentials can be opened.

pub mod check_credentials;
pub use check_credentials::CheckCredentials;

pub mod connect_instance;
pub use connect_instance::ConnectInstance;

pub mod create_instance;
pub use create_instance::CreateInstance;

pub mod delete_instance;
pub use delete_instance::DeleteInstance;

pub mod empty_deleted_instances;
pub use empty_deleted_instances::EmptyDeletedInstances;

pub mod event_secrets;
pub use event_secrets::EventSecrets;

pub mod read_instances;
pub use read_instances::ReadInstances;

pub mod update_instance;
pub use update_instance::UpdateInstance;

pub mod watch_connections;
pub use watch_connections::WatchConnections;
