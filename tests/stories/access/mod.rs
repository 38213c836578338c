//! Who may call, and what one tenant sees.

mod private_addresses;
mod tenants;
