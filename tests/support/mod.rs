pub mod databases;
pub mod http_receiver;
