use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, Response};

use super::builder::ClientSetupError;
use super::client::{HttpClient, Repeats};
use super::guard::{AddressBlocked, AddressGuard, GuardedNames};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Blocked(#[from] AddressBlocked),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// Calls URLs that tenants gave. Every channel that speaks HTTP has one, and no other client.
pub struct GuardedClient {
    guard: Arc<AddressGuard>,
    open: HttpClient,
    /// One of its own: a connection that was kept from the time before the guard is not used again.
    guarded: HttpClient,
}

/// Whether the environment names a proxy, which a client uses that is not guarded.
pub fn has_proxy() -> bool {
    names_proxy(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn names_proxy(is_set: impl Fn(&str) -> bool) -> bool {
    ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].iter().any(|name| is_set(name) || is_set(&name.to_ascii_lowercase()))
}

impl GuardedClient {
    /// # Errors
    /// When a client cannot be built.
    pub fn new(
        guard: Arc<AddressGuard>,
        builder: impl Fn() -> ClientBuilder + Clone + Send + Sync + 'static,
    ) -> Result<Self, ClientSetupError> {
        let (names, guarded) = (GuardedNames(guard.clone()), builder.clone());
        // A proxy would resolve the name itself, and reach for us what we refuse to.
        let guarded = move || guarded().no_proxy().dns_resolver(names.clone());
        Ok(Self { guard, open: HttpClient::new(builder)?, guarded: HttpClient::new(guarded)? })
    }

    pub fn guard(&self) -> &AddressGuard {
        &self.guard
    }

    /// For making requests, which [`send`](Self::send) sends.
    pub fn requests(&self) -> &Client {
        self.open.requests()
    }

    /// # Errors
    /// When the request cannot be made, its address is not called, or there is no answer within `timeout`.
    pub async fn send(
        &self,
        request: RequestBuilder,
        timeout: Duration,
        repeats: Repeats,
    ) -> Result<Response, CallError> {
        let request = request.build()?;
        if !self.guard.is_on() {
            return Ok(self.open.send(request, timeout, repeats).await?);
        }
        self.guard.literal(request.url())?;
        Ok(self.guarded.send(request, timeout, repeats).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::names_proxy;

    #[test]
    fn a_proxy_is_named_in_either_case() {
        for name in ["HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY", "all_proxy"] {
            assert!(names_proxy(|asked| asked == name), "{name}");
        }
        assert!(!names_proxy(|asked| asked.eq_ignore_ascii_case("NO_PROXY")));
    }
}
