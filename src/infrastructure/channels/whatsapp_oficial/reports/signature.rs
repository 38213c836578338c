use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Whether Meta's header `X-Hub-Signature-256` (`sha256=` and 64 hex digits) is that of this body by this secret. Compared in
/// constant time.
pub fn is_signed(app_secret: &str, signature: &str, body: &[u8]) -> bool {
    let Some(given) = signature.trim().strip_prefix("sha256=").and_then(bytes) else { return false };
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(app_secret.as_bytes()) else { return false };
    mac.chain_update(body).verify_slice(&given).is_ok()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const SIGNATURE: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    #[test]
    fn only_what_was_signed_with_the_secret_is_believed() {
        let body = b"what do ya want for nothing?";
        assert!(is_signed("Jefe", SIGNATURE, body));
        assert!(!is_signed("jefe", SIGNATURE, body));
        assert!(!is_signed("Jefe", SIGNATURE, b"what do ya want for nothing"));
        let longer = format!("{SIGNATURE}00");
        let other = SIGNATURE.replace("5bdc", "5bdd");
        for wrong in [&longer, &other, &SIGNATURE[..70], &SIGNATURE[7..], "sha256=", "", "sha256=é", "sha1=5bdc"] {
            assert!(!is_signed("Jefe", wrong, body), "{wrong}");
        }
    }
}
