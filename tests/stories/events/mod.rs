//! What is reported to us as events.

mod crm_client;
mod importing;
mod publishing;
mod receiving;
mod refusing;
mod reporting;
mod surviving;
mod tables;
