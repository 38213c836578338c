mod request_allowances;
mod sign_in_failures;
mod users;

pub use request_allowances::ProcessRequestAllowances;
pub use sign_in_failures::SqliteSignInFailures;
pub use users::SqliteUsers;
