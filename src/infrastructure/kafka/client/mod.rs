//! How librdkafka is configured, and what is known of the way to the brokers.

mod connection;
mod embedded;
mod record_times;
mod settings;
mod standstill;
mod statistics;
mod troubles;

pub use connection::Connection;
pub use embedded::EmbeddedBroker;
pub use record_times::{NO_TIME, RecordTimes};
pub use settings::{QuietEvents, client_config, refused, take_whatever_is_there};
pub use standstill::{STANDSTILL, StandstillWatch};
pub use troubles::{About, Troubles};
