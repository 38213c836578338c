//! The clients with which other systems are called over HTTP. All but the one of `correio bench` are built here: each names itself, bounds its waiting, and
//! trusts the authorities that this machine trusts.

mod builder;
mod causes;
mod certificates;
mod client;
mod guard;
mod guarded_client;
mod new_connection;
pub mod public_address;

pub use builder::{ClientSetupError, USER_AGENT, client_builder};
pub use causes::causes;
pub use certificates::NoCertificates;
pub use client::{HttpClient, Repeats};
pub use guard::{AddressBlocked, AddressGuard, BlockPrivate, Exception};
pub use guarded_client::{CallError, GuardedClient, has_proxy};
