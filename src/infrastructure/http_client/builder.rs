use std::time::Duration;

use reqwest::{Client, ClientBuilder};

use super::causes::causes;
use super::certificates;
use super::names::MachinesNames;

pub const USER_AGENT: &str = concat!("Correio/", env!("CARGO_PKG_VERSION"));

/// Less than the 5 seconds after which many servers close an idle connection: a request that meets the closing is
/// lost without our knowing whether it was taken.
const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(4);

/// An HTTP/2 connection on which a request waits is asked so often whether it lives, and given up after such a silence. Not
/// sooner: a receiver whose only thread is busy answers late.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// More than any browser or curl takes offence at. A library's default of 100 loses answers that name many cookies.
const MOST_HEADERS: usize = 1_000;

/// The HTTP client could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up an HTTP client: {}", cause(.0))]
pub struct ClientSetupError(#[from] reqwest::Error);

/// What is at the bottom of it: an error of reqwest says only that building failed.
fn cause(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Every request needs its own total timeout besides: this one only bounds connecting.
///
/// Heads of answers are read as browsers and curl read them: an answer that says 200 has said it, however its other lines
/// are written.
pub fn client_builder(connect_timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE_CONNECTION_KEPT)
        .http1_max_headers(MOST_HEADERS)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .http2_keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .dns_resolver(MachinesNames)
        .tls_backend_preconfigured(certificates::tls())
}
