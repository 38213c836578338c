//! Events of the sources that the configuration describes.

pub mod receive_report;

pub use receive_report::ReceiveReport;
