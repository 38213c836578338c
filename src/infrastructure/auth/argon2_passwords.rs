use std::sync::OnceLock;

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::application::ports::{Passwords, PasswordsError};

/// Passwords that are hashed at the same time: each takes 19 MiB and a processor for some hundredths of a second.
const AT_ONCE: usize = 2;

/// Those that may wait for it.
const WAITING: usize = 64;

/// Argon2id, with the library's parameters (19 MiB, two passes), on a thread of its own.
pub struct Argon2Passwords {
    places: Semaphore,
    waiting: Semaphore,
}

impl Default for Argon2Passwords {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE), waiting: Semaphore::new(AT_ONCE + WAITING) }
    }
}

impl Argon2Passwords {
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordsError> + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let _waiting = self.waiting.try_acquire().map_err(|_| PasswordsError::Busy)?;
        let _place = self.places.acquire().await.map_err(|_| PasswordsError::Busy)?;
        spawn_blocking(work).await.map_err(|error| PasswordsError::Failed(error.to_string()))?
    }
}

#[async_trait]
impl Passwords for Argon2Passwords {
    async fn hash(&self, password: String) -> Result<String, PasswordsError> {
        self.run(move || hashed(&password)).await
    }

    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordsError> {
        self.run(move || {
            let of_nobody = || OF_NOBODY.get_or_init(|| hashed("the password of nobody").unwrap_or_default()).clone();
            let is_somebody = hash.is_some();
            let hash = hash.unwrap_or_else(of_nobody);
            let parsed = PasswordHash::new(&hash).map_err(|error| PasswordsError::Failed(error.to_string()))?;
            let is_right = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(is_right && is_somebody)
        })
        .await
    }
}

static OF_NOBODY: OnceLock<String> = OnceLock::new();

fn hashed(password: &str) -> Result<String, PasswordsError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| PasswordsError::Failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_has_its_own_hash_alone() {
        let passwords = Argon2Passwords::default();
        let hash = passwords.hash("a senha certa".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert_ne!(hash, passwords.hash("a senha certa".to_owned()).await.unwrap(), "each has a salt");
        let verify = async |password: &str, hash: Option<&String>| {
            passwords.verify(password.to_owned(), hash.cloned()).await.unwrap()
        };
        assert!(verify("a senha certa", Some(&hash)).await);
        assert!(!verify("a senha errada", Some(&hash)).await);
        assert!(!verify("the password of nobody", None).await);
        let unreadable = passwords.verify("x".to_owned(), Some("edited by hand".to_owned())).await;
        assert!(matches!(unreadable, Err(PasswordsError::Failed(_))));
    }

    #[tokio::test]
    async fn when_too_many_wait_the_next_is_told_so() {
        let passwords = Argon2Passwords::default();
        let _all = passwords.waiting.acquire_many(66).await.unwrap();
        assert!(matches!(passwords.hash("x".to_owned()).await, Err(PasswordsError::Busy)));
    }
}
