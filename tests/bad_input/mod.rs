//! Whatever somebody writes into the database or into Kafka: it ends, in `failed` or among the dead letters, with a sentence
//! that says why, and nothing beside it is held up.

mod hand;
mod instances;
mod large_records;
mod parsers;
mod record_mutations;
mod records;
mod row_edits;
mod rows;
mod seed;
mod topic;
