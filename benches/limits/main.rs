//! `cargo bench --bench limits`: what Correio reaches, compared with what the machine lets anybody reach.
//!
//! It starts a PostgreSQL, an Apache Kafka and an nginx of its own, and the program as its users run it; loads it with
//! `wrk`, and compares with `pgbench` in the same minute, because a busy machine is as busy for both. It prints figures and
//! judges none: it fails only when something could not be measured, or when a message was lost. How to read the table is in
//! `docs/PERFORMANCE.md`.

mod arguments;
mod build;
mod connection;
mod database;
mod disk;
mod failure;
mod figures;
mod machine;
mod measurements;
mod nginx;
mod open_loop;
mod pgbench;
mod report;
mod requests;
mod server;
mod setting;
mod stage;
mod statistics;
mod tool;
mod wrk;

/// What the tests have for starting servers, without the rest of it.
#[allow(dead_code, reason = "tests use more of it")]
#[path = "../../tests/support"]
mod support {
    pub mod eventually;
    pub mod free_port;
    pub mod http_receiver;
    pub mod kafka_server;
    pub mod leash;
    pub mod postgres_server;
    pub mod samples;
}

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use arguments::Arguments;

pub use failure::Result;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    // Whichever ends first: what was started is dropped here, and ends with that.
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = measurements::all(&arguments) => ended,
            interrupted = interrupted() => interrupted,
        }
    });
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("limits: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() -> Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Err("interrupted".into())
}
