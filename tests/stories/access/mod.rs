//! Who may call, and what one tenant sees.

mod first_key;
mod limits;
mod private_addresses;
mod signing_in;
mod tenants;
