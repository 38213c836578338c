use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, Response};

use super::builder::ClientSetupError;
use super::client::{HttpClient, Repeats};
use super::guard::{AddressBlocked, AddressGuard, GuardedNames};
use super::proxies::{Proxies, ProxyTrouble, failure, refusal};

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Blocked(#[from] AddressBlocked),
    #[error(transparent)]
    Proxy(#[from] ProxyTrouble),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

/// Calls URLs that tenants gave. Every channel that speaks HTTP has one, and no other client.
pub struct GuardedClient {
    guard: Arc<AddressGuard>,
    open: HttpClient,
    /// One of its own: a connection that was kept from the time before the guard is not used again.
    guarded: HttpClient,
    proxies: Proxies,
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
        Ok(Self {
            guard,
            open: HttpClient::new(builder)?,
            guarded: HttpClient::new(guarded)?,
            proxies: Proxies::of_environment(),
        })
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
        let (client, proxy) = if self.guard.is_on() {
            self.guard.literal(request.url())?;
            (&self.guarded, None)
        } else {
            (&self.open, self.proxies.on_the_way_to(request.url()))
        };
        match client.send(request, timeout, repeats).await {
            Ok(response) => match refusal(proxy.as_deref(), &response) {
                None => Ok(response),
                Some(trouble) => Err(trouble.into()),
            },
            Err(error) => Err(failure(proxy.as_deref(), &error).map_or(CallError::Http(error), CallError::Proxy)),
        }
    }
}
