use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    correio::presentation::cli::run().await
}
