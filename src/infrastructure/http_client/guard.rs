//! Which addresses channels are called at, whatever a tenant's URL or a name server says.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::names::addresses;
use super::public_address::{embedded_v4, is_public};
use crate::application::access::met_tenants::MetTenants;

/// This installation does not call this address.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its address is not public, and this installation calls no other (CHANNELS_BLOCK_PRIVATE, CHANNELS_ALLOW)")]
pub struct AddressBlocked {
    /// By an operator's word; otherwise by tenants that this process has met, which another one need not have.
    pub for_good: bool,
}

/// When addresses of private networks, and of this machine, are not called.
#[derive(Clone, Debug)]
pub enum BlockPrivate {
    Always,
    Never,
    /// As soon as one tenant's URLs could reach what is another's.
    AmongTenants(MetTenants),
}

/// A private address that is called all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exception {
    Network(IpNet),
    /// In lower case, without a dot at the end.
    Host(String),
}

/// Decides for each call anew.
#[derive(Clone, Debug)]
pub struct AddressGuard {
    block: BlockPrivate,
    exceptions: Vec<Exception>,
}

impl Default for AddressGuard {
    /// Lets everything pass.
    fn default() -> Self {
        Self { block: BlockPrivate::Never, exceptions: Vec::new() }
    }
}

impl AddressGuard {
    pub fn new(block: BlockPrivate, exceptions: Vec<Exception>) -> Self {
        Self { block, exceptions }
    }

    pub fn is_on(&self) -> bool {
        match &self.block {
            BlockPrivate::Always => true,
            BlockPrivate::Never => false,
            BlockPrivate::AmongTenants(tenants) => tenants.are_several(),
        }
    }

    /// Checks a URL before it is stored, as far as that can be done without a name server. Calls check again.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn check(&self, url: &Url) -> Result<(), &'static str> {
        if self.is_on() && self.literal(url).is_err() {
            return Err(
                "must not be a private address: CHANNELS_BLOCK_PRIVATE and CHANNELS_ALLOW decide which are called",
            );
        }
        Ok(())
    }

    /// Of a host that is an address: no name server is asked for it.
    pub(super) fn literal(&self, url: &Url) -> Result<(), AddressBlocked> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.lets_pass(address) { Ok(()) } else { Err(self.blocked()) }
    }

    fn blocked(&self) -> AddressBlocked {
        AddressBlocked { for_good: !matches!(self.block, BlockPrivate::AmongTenants(_)) }
    }

    fn lets_pass(&self, address: IpAddr) -> bool {
        let inner = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => embedded_v4(address).map(IpAddr::V4),
        };
        is_public(address)
            || self.exceptions.iter().any(|exception| match exception {
                Exception::Network(network) => {
                    network.contains(&address) || inner.is_some_and(|inner| network.contains(&inner))
                }
                Exception::Host(_) => false,
            })
    }

    fn is_excepted(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_it =
            |exception: &Exception| matches!(exception, Exception::Host(host) if host.eq_ignore_ascii_case(name));
        self.exceptions.iter().any(is_it)
    }
}

/// Resolves names to addresses that may be called. The addresses that were looked at are the ones that are connected to, so
/// that a name which changes its mind in between gains nothing.
#[derive(Clone)]
pub(super) struct GuardedNames(pub Arc<AddressGuard>);

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = addresses(name.as_str()).await?;
            if guard.is_excepted(name.as_str()) {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let passed: Vec<_> = found.iter().copied().filter(|address| guard.lets_pass(address.ip())).collect();
            if passed.is_empty() && !found.is_empty() {
                return Err(guard.blocked().into());
            }
            Ok(Box::new(passed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_excepted_as_it_can_be_written_and_no_other() {
        let guard = AddressGuard::new(BlockPrivate::Always, vec![Exception::Host("evolution.example".to_owned())]);
        for name in ["evolution.example", "Evolution.EXAMPLE", "evolution.example."] {
            assert!(guard.is_excepted(name), "{name}");
        }
        for name in ["example", "a.evolution.example", "evolution.example.net", ""] {
            assert!(!guard.is_excepted(name), "{name}");
        }
    }
}
