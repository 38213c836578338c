//! Who may call, and what one tenant sees.

mod tenants;
