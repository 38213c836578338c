pub mod databases;
pub mod http_receiver;
pub mod memory_broker;
pub mod test_app;
