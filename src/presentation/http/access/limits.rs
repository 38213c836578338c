//! Counting requests, on the routes that have limits.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::application::access::authenticate::Authenticated;
use crate::application::access::limit_requests::{LimitRequests, Standing};
use crate::domain::access::request_limit::{Counted, MINUTE};
use crate::presentation::http::wire::caller::{Known, authenticated};
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::serving::client::{Peer, client_of, counted_as};
use crate::presentation::http::wire::state::SharedState;

static LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Answers 429 where a limit is reached, and says with every other answer how much is left. Who calls is found out here once,
/// for the handler, too.
pub async fn count(State(state): State<SharedState>, mut request: Request, next: Next) -> Response {
    let limits = &state.gateway.access.limit_requests;
    let peer = request.extensions().get::<Peer>().copied();
    let address = counted_as(client_of(peer, request.headers(), &state.trusted_proxies));
    // Credentials that are not valid, or whose tenant has no place left, are counted by the address, and refused by the handler.
    let caller = authenticated(request.headers(), &state).await.ok();
    let Some(standing) = standing(limits, &address, caller.as_ref()).await else { return next.run(request).await };
    if !standing.is_allowed {
        return refused(standing);
    }
    if let Some(caller) = caller {
        request.extensions_mut().insert(Known(caller.principal));
    }
    let mut response = next.run(request).await;
    say(response.headers_mut(), standing);
    response
}

/// Of a caller with a limit of its own that alone, whatever its address; none where requests are not limited.
async fn standing(limits: &LimitRequests, address: &str, caller: Option<&Authenticated>) -> Option<Standing> {
    if let Some(Authenticated { principal, requests_per_minute: own @ Some(_) }) = caller {
        return limits.of_caller(&Counted::caller(principal), *own).await;
    }
    let of_address = limits.of_address(address).await?;
    if !of_address.is_allowed {
        return Some(of_address);
    }
    Some(match caller {
        Some(caller) => limits.of_caller(&Counted::caller(&caller.principal), None).await.unwrap_or(of_address),
        None => limits.burst_of_address(address).unwrap_or(of_address),
    })
}

fn refused(standing: Standing) -> Response {
    let mut response = Problem::too_many_requests(seconds(standing.resets_in)).into_response();
    say(response.headers_mut(), standing);
    response
}

fn say(headers: &mut HeaderMap, standing: Standing) {
    headers.insert(LIMIT.clone(), standing.limit.into());
    headers.insert(REMAINING.clone(), standing.remaining.into());
    headers.insert(RESET.clone(), seconds(standing.resets_in).into());
    if let Ok(policy) = HeaderValue::from_str(&format!("{};w={}", standing.limit, MINUTE.as_secs()))
        && standing.is_allowed
    {
        headers.insert(POLICY.clone(), policy);
    }
}

/// Rounded up: who waits for so long is let in.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
