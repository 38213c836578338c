//! Who may call, and what one tenant sees.

mod first_key;
mod private_addresses;
mod tenants;
