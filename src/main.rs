use std::process::ExitCode;

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("correio: there is no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(correio::presentation::cli::run());
    // Without waiting for calls that block, such as one that asks a Kafka that is away.
    runtime.shutdown_background();
    code
}
