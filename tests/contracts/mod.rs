pub mod channel_sender;
