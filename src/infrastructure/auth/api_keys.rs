//! How API keys look, and what of them is stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::access::api_key::hash;

/// Prefix by which people, and scanners for leaked secrets, recognise one of our keys.
const MARK: &str = "correio_";

/// Of a key that we made, four characters beyond the mark distinguish keys; 232 of its 256 random bits stay unknown.
const SHOWN_OF_OURS: usize = MARK.len() + 4;

/// A key that a person chose may be as short as 32 characters, and no more random than a sentence: show less of it.
const SHOWN_OF_OTHERS: usize = 4;

/// A key and what is stored of it. Has no `Debug`, so that the key is not printed by accident.
pub struct NewApiKey {
    /// Shown once, and kept nowhere.
    pub plaintext: String,
    pub hash: [u8; 32],
    pub prefix: String,
}

/// Makes a key of 256 random bits.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate() -> Result<NewApiKey, NoRandomness> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| NoRandomness)?;
    Ok(describe(format!("{MARK}{}", URL_SAFE_NO_PAD.encode(random))))
}

#[derive(Debug, thiserror::Error)]
#[error("the system gives no randomness")]
pub struct NoRandomness;

/// What is stored of a key, generated or given.
pub fn describe(plaintext: String) -> NewApiKey {
    NewApiKey { hash: hash(&plaintext), prefix: prefix(&plaintext), plaintext }
}

/// The first characters of a key, by which people distinguish keys.
pub fn prefix(plaintext: &str) -> String {
    let shown = if plaintext.starts_with(MARK) { SHOWN_OF_OURS } else { SHOWN_OF_OTHERS };
    plaintext.chars().take(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_has_our_mark_and_is_never_the_same() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.plaintext.len(), MARK.len() + 43);
        assert!(one.plaintext.starts_with("correio_"));
        // Two dots would make it a JWT to the reader of the header.
        assert!(!one.plaintext.contains('.'));
        assert_ne!(one.plaintext, other.plaintext);
        assert_eq!(one.hash, hash(&one.plaintext));
    }

    #[test]
    fn the_hash_is_sha_256() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hash: String = hash("abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, known);
    }

    #[test]
    fn a_prefix_shows_little() {
        assert_eq!(prefix("correio_abcdefghijklmnop"), "correio_abcd");
        assert_eq!(prefix("correct horse battery staple and more"), "corr");
        assert_eq!(prefix("ab"), "ab");
    }
}
