//! Who may call, and what one tenant sees.

mod api_key_repository;
mod request_allowances;
mod sign_in_failures;
mod users;
