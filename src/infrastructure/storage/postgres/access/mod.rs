mod request_allowances;
mod sign_in_failures;
mod users;

pub use request_allowances::PgRequestAllowances;
pub use sign_in_failures::PgSignInFailures;
pub use users::PgUsers;
