//! Events that become messages.

mod routing;
