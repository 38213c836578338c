use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use super::key_file;
use crate::application::ports::{CipherError, CredentialsCipher};
use crate::domain::instance::InstanceId;
use crate::domain::instance::credentials::{Credentials, SealedCredentials};
use crate::infrastructure::config::{Config, ConfigError, DatabaseConfig};

/// The first byte of what we seal, so that another format can be recognised one day.
const VERSION: u8 = 1;
/// Long enough that random ones never meet, however often is sealed.
const NONCE: usize = 24;

const NOT_OPENED: CipherError =
    CipherError("the credentials cannot be opened: none of the keys fits, or they were changed");

/// Seals with XChaCha20-Poly1305: version (1 byte), nonce (24), ciphertext with its tag. The version and the instance's
/// id are authenticated with it.
pub struct XChaChaCredentialsCipher {
    first: XChaCha20Poly1305,
    others: Vec<XChaCha20Poly1305>,
}

impl XChaChaCredentialsCipher {
    /// The first key seals; it and the others open.
    pub fn new(first: &[u8; 32], others: &[[u8; 32]]) -> Self {
        let cipher = |key: &[u8; 32]| XChaCha20Poly1305::new(&(*key).into());
        Self { first: cipher(first), others: others.iter().map(cipher).collect() }
    }

    /// With the configured keys; without any, and with an embedded database, with the one in `DATA_DIR`, which is made if need
    /// be. `has_credentials`: the database has some, which that key has to open.
    ///
    /// # Errors
    /// Without a key for a database that several processes, on several machines, can share: each would make its own.
    pub fn from_config(config: &Config, has_credentials: bool) -> Result<Self, ConfigError> {
        let [first, others @ ..] = &keys(config, has_credentials)?[..] else { return Err(no_key()) };
        Ok(Self::new(first, others))
    }
}

/// As of [`XChaChaCredentialsCipher::from_config`]; the first one is the present one.
pub(super) fn keys(config: &Config, has_credentials: bool) -> Result<Vec<[u8; 32]>, ConfigError> {
    match (config.storage.credentials_keys.as_deref(), &config.storage.database) {
        (Some(keys @ [_, ..]), _) => Ok(keys.to_vec()),
        (_, DatabaseConfig::Sqlite { .. }) => {
            Ok(vec![key_file::load_or_create(&config.storage.data_dir, has_credentials)?])
        }
        (_, DatabaseConfig::Postgres { .. }) => Err(no_key()),
    }
}

fn no_key() -> ConfigError {
    let sentence = "must be set when PostgreSQL is used, to the same value for every process \
                    (`openssl rand -base64 32` makes one)";
    ConfigError::new(key_file::VARIABLE, sentence)
}

impl CredentialsCipher for XChaChaCredentialsCipher {
    fn new_secret(&self) -> Result<String, CipherError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| CipherError("the system gives no randomness"))?;
        Ok(URL_SAFE_NO_PAD.encode(secret))
    }

    fn seal(&self, instance: InstanceId, credentials: &Credentials) -> Result<SealedCredentials, CipherError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| CipherError("the system gives no randomness"))?;
        let payload = Payload { msg: credentials.expose().as_bytes(), aad: &bound_to(instance) };
        let ciphertext = self.first.encrypt(&XNonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| CipherError("the credentials are too long to be encrypted"))?;
        Ok(SealedCredentials([&[VERSION], nonce.as_slice(), &ciphertext].concat()))
    }

    fn open(&self, instance: InstanceId, sealed: &SealedCredentials) -> Result<Credentials, CipherError> {
        let Some((&VERSION, rest)) = sealed.0.split_first() else {
            return Err(CipherError("the credentials are sealed in a format that is not known"));
        };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE>().ok_or(NOT_OPENED)?;
        let nonce = XNonce::from(*nonce);
        let aad = bound_to(instance);
        let opened = std::iter::once(&self.first)
            .chain(&self.others)
            .find_map(|key| key.decrypt(&nonce, Payload { msg: ciphertext, aad: &aad }).ok());
        let json = opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(NOT_OPENED)?;
        Ok(Credentials::new(json))
    }
}

/// What is authenticated beside the ciphertext.
fn bound_to(instance: InstanceId) -> [u8; 17] {
    let mut bytes = [VERSION; 17];
    bytes[1..].copy_from_slice(instance.0.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const INSTANCE: InstanceId = InstanceId(Uuid::from_u128(1));

    fn cipher(keys: &[u8]) -> XChaChaCredentialsCipher {
        let keys: Vec<[u8; 32]> = keys.iter().map(|key| [*key; 32]).collect();
        XChaChaCredentialsCipher::new(&keys[0], &keys[1..])
    }

    fn secret() -> Credentials {
        Credentials::new(r#"{"apiKey":"hush"}"#)
    }

    #[test]
    fn what_is_sealed_can_be_opened_and_not_read() {
        let sealed = cipher(&[1]).seal(INSTANCE, &secret()).unwrap();
        assert_eq!(sealed.0.len(), 1 + 24 + secret().expose().len() + 16);
        assert!(!sealed.0.windows(4).any(|bytes| bytes == b"hush"));
        assert_eq!(cipher(&[1]).open(INSTANCE, &sealed).unwrap(), secret());
        assert_ne!(cipher(&[1]).seal(INSTANCE, &secret()).unwrap(), sealed);
    }

    #[test]
    fn keys_can_be_rotated() {
        let old = cipher(&[1]).seal(INSTANCE, &secret()).unwrap();
        let both = cipher(&[2, 1]);
        assert_eq!(both.open(INSTANCE, &old).unwrap(), secret());
        let new = both.seal(INSTANCE, &secret()).unwrap();
        assert_eq!(cipher(&[2]).open(INSTANCE, &new).unwrap(), secret());
        assert!(cipher(&[1]).open(INSTANCE, &new).is_err());
    }

    #[test]
    fn they_belong_to_their_instance() {
        let sealed = cipher(&[1]).seal(INSTANCE, &secret()).unwrap();
        assert!(cipher(&[1]).open(InstanceId(Uuid::from_u128(2)), &sealed).is_err());
    }

    #[test]
    fn a_shared_database_needs_a_key_that_is_shared() {
        let read = |url: &'static str| Config::read(|name| (name == "DATABASE_URL").then(|| url.to_owned())).unwrap();
        let error = XChaChaCredentialsCipher::from_config(&read("postgres://db/correio"), true).err().unwrap();
        assert_eq!(error.variable, "CREDENTIALS_KEY");
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(position in 0..1 + 24 + 17 + 16usize, change in 1..=255u8) {
            let mut sealed = cipher(&[1]).seal(INSTANCE, &secret()).unwrap();
            sealed.0[position] ^= change;
            prop_assert!(cipher(&[1]).open(INSTANCE, &sealed).is_err());
        }

        #[test]
        fn whatever_is_stored_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(cipher(&[1]).open(INSTANCE, &SealedCredentials(bytes)).is_err());
        }
    }
}
