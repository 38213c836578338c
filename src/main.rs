use std::process::ExitCode;

/// A message is many small allocations, on whichever thread is free.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("correio: cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(correio::presentation::cli::run());
    // Without waiting for calls that block, such as one that asks a Kafka that is away.
    runtime.shutdown_background();
    code
}
