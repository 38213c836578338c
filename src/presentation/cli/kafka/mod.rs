//! `correio topics` and `correio groups`, in the words and columns of Kafka's own tools.

pub mod groups;
mod reset;
mod table;
pub mod topics;
