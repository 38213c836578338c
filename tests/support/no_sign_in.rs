//! Of a process where no user signs in.

use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{Passwords, PasswordsError, TokenIssuer};
use correio::domain::Timestamp;
use correio::domain::access::principal::Principal;

pub struct NoSignIn;

#[async_trait]
impl Passwords for NoSignIn {
    async fn hash(&self, _: String) -> Result<String, PasswordsError> {
        Err(PasswordsError::Busy)
    }

    async fn verify(&self, _: String, _: Option<String>) -> Result<bool, PasswordsError> {
        Err(PasswordsError::Busy)
    }
}

impl TokenIssuer for NoSignIn {
    fn issue(&self, _: &Principal, _: Duration, _: Timestamp) -> Result<String, String> {
        Err("no user signs in here".to_owned())
    }
}
