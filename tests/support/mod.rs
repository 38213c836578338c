pub mod http_receiver;
