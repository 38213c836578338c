//! Tokens, API keys, and the encryption of credentials.

pub mod api_keys;
mod argon2_passwords;
mod claims;
pub mod credentials_cipher;
pub mod jwks;
pub mod jwt_verifier;
mod key_file;
#[cfg(test)]
mod parsing_tests;
pub mod token_signer;
mod verifying_key;

pub use argon2_passwords::Argon2Passwords;
pub use credentials_cipher::XChaChaCredentialsCipher;
pub use jwt_verifier::JwtVerifier;
pub use token_signer::{TokenSigner, with_sign_in_secret};
