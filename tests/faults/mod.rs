//! What survives when real processes, servers and connections fail under load, through Kafka and in direct mode.
//!
//! `FAULTS=short` runs what CI has time for; `FAULTS=long` runs every fault for as long as it is told to last, and prints
//! the table of what came of it:
//!
//! ```text
//! FAULTS=long TEST_KAFKA_LIB=$(.ci/kafka/fetch) cargo test --release --test correio -- \
//!     --nocapture --test-threads 1 faults::
//! ```
//!
//! It needs PostgreSQL's server binaries and Java, and root for a disk that is full. `FAULTS_REPORT` names a file that
//! gets the table too; `FAULTS_SEED` repeats the faults of an earlier run that were drawn at random.
//!
//! A story says which [`fault::Fault`]s befall a [`stage::Stage`] and for how long. [`trial::Trial`] puts it under load
//! and waits until nothing is open, and [`books`] holds what clients were told against what the rows say and what the
//! channel got.

mod at_random;
mod backlog;
mod books;
mod clients;
mod connections;
mod disk;
mod disturbances;
mod duplicates;
mod fault;
mod length;
mod outages;
mod processes;
mod receiver;
mod report;
mod row;
mod servers;
mod setting;
mod small_disk;
mod stage;
mod trial;
mod way;
