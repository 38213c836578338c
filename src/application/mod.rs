//! What Correio does: one use case a file, named by its verb, on ports.

pub mod authenticate;
pub mod consume_messages;
pub mod consumption;
pub mod create_instance;
pub mod delete_instance;
pub mod give_back_forgotten;
pub mod held_messages;
pub mod issue_api_key;
pub mod keep_node_alive;
pub mod lanes;
pub mod maintain_storage;
pub mod node_identity;
pub mod node_watch;
pub mod ports;
pub mod prepare_installation;
pub mod process_message_queue;
pub mod read_instances;
pub mod read_messages;
pub mod relay_due_messages;
pub mod replay_messages;
pub mod report_health;
pub mod send_message;
pub mod settle_dead_letters;
pub mod tally;
pub mod under_way;
pub mod unsettled;
pub mod until_answered;
pub mod update_instance;

/// Resolves when the process shall stop.
pub type Stop = futures::future::Shared<futures::future::BoxFuture<'static, ()>>;
