//! Users, their failures to sign in, and how often callers have asked.

mod request_allowances;
mod sign_in_failures;
mod users;

pub use request_allowances::{Allowance, RequestAllowances};
pub use sign_in_failures::{SignInEnd, SignInFailures};
pub use users::Users;
