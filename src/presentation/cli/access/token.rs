//! `correio token`

use std::time::Duration;

use clap::Args;

use crate::application::ports::Clock;
use crate::domain::access::principal::{Scope, Tenant};
use crate::infrastructure::auth::TokenSigner;
use crate::infrastructure::auth::token_signer::TokenRequest;
use crate::infrastructure::config::{Config, parse_duration};
use crate::infrastructure::system::SystemClock;
use crate::presentation::cli::error::CommandError;
use crate::presentation::cli::tenant::tenant;

#[derive(Debug, Args)]
pub struct TokenArguments {
    /// The tenant whose rows it gives access to.
    #[arg(long, default_value = Tenant::DEFAULT, value_parser = tenant)]
    tenant: Tenant,
    /// Its subject (`sub`), for example a user.
    #[arg(long)]
    sub: String,
    /// What it may do; several by repeating it. Without any: all but administer.
    #[arg(long, value_delimiter = ',')]
    scope: Vec<Scope>,
    /// How long it lives, e.g. `15m` or `24h`.
    #[arg(long, default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
}

/// Prints the token alone.
pub fn run(config: &Config, arguments: TokenArguments) -> Result<(), CommandError> {
    let request = TokenRequest {
        tenant: arguments.tenant,
        subject: arguments.sub,
        scopes: (!arguments.scope.is_empty()).then_some(arguments.scope),
        ttl: arguments.ttl,
    };
    let signed = TokenSigner::new(&config.access.jwt)?.sign(&request, SystemClock::new().now());
    let token = signed.map_err(|error| CommandError::Other(error.to_string()))?;
    println!("{token}");
    Ok(())
}
