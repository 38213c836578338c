//! What is reported to us as events.

mod crm_client;
mod importing;
mod receiving;
mod refusing;
mod reporting;
mod tables;
