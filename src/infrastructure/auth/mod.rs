//! Who calls, and what is kept from whom: API keys, and the encryption of credentials.

pub mod api_keys;
pub mod credentials_cipher;
mod key_file;

pub use credentials_cipher::XChaChaCredentialsCipher;
