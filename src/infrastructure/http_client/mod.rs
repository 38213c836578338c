//! The clients with which other systems are called over HTTP. All but the one of `correio bench` are built here: each names itself, bounds its waiting, and
//! trusts the authorities that this machine trusts.

mod blame;
mod builder;
mod causes;
mod certificates;
mod client;
mod guard;
mod guarded_client;
mod names;
mod new_connection;
mod proxies;
pub mod public_address;

pub use blame::{own_trouble, untimely_certificate, wants_client_certificate};
pub use builder::{ClientSetupError, USER_AGENT, client_builder};
pub use causes::causes;
pub use client::{HttpClient, Repeats};
pub use guard::{AddressBlocked, AddressGuard, BlockPrivate, Exception};
pub use guarded_client::{CallError, GuardedClient};
pub use proxies::{announce_proxies, has_proxy};
