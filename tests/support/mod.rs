pub mod databases;
pub mod http_receiver;
pub mod test_app;
