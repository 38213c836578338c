use url::Host;

use super::address::parse_address;
use super::{SigningSecret, WebhookSender, WebhookSettings};
use crate::application::ports::ChannelSender;
use crate::corpus::{prove, prove_of_texts};
use crate::infrastructure::http_client::public_address::is_public;
use crate::infrastructure::http_client::{AddressGuard, BlockPrivate};
use crate::infrastructure::system::SystemClock;

#[test]
fn an_address_is_one_of_the_web_or_refused() {
    let guard = AddressGuard::new(BlockPrivate::Always, Vec::new());
    prove_of_texts("webhook-address", |text| {
        let open = parse_address(text);
        match &open {
            Err(problem) => assert!(problem.starts_with("must "), "{problem}"),
            Ok(url) => {
                assert!(matches!(url.scheme(), "http" | "https") && url.has_host());
                assert!(url.username().is_empty() && url.password().is_none());
                assert_eq!(parse_address(url.as_str()).as_ref().ok().or(Some(url)), Some(url));
            }
        }
        if let Some(url) = parse_address(text).ok().filter(|url| guard.check(url).is_ok()) {
            assert_eq!(open.as_ref(), Ok(&url));
            match url.host() {
                Some(Host::Ipv4(address)) => assert!(is_public(address.into()), "{url}"),
                Some(Host::Ipv6(address)) => assert!(is_public(address.into()), "{url}"),
                _ => {}
            }
        }
    });
}

#[test]
fn a_secret_signs_or_is_refused() {
    prove_of_texts("signing-secret", |text| {
        let Ok(secret) = SigningSecret::parse(text) else { return };
        // Written as it should have been: the same key, in one form.
        let again = SigningSecret::parse(secret.expose()).unwrap();
        assert_eq!(again.expose(), secret.expose());
        assert_eq!(again.sign("id", 1, b"x"), secret.sign("id", 1, b"x"));
        let unpadded = |text: &str| text.trim().trim_end_matches('=').replace('-', "+").replace('_', "/");
        assert!(unpadded(text).ends_with(&unpadded(secret.expose())), "{text}");
        assert!(!secret.sign("id", i64::MIN, text.as_bytes()).is_empty());
    });
}

#[test]
fn credentials_are_taken_as_they_are_or_refused() {
    let sender = WebhookSender::new(WebhookSettings::default(), std::sync::Arc::new(SystemClock::new())).unwrap();
    prove("credentials", |bytes| {
        let Ok(given) = serde_json::from_slice(bytes) else { return };
        match sender.check_credentials(Some(&given)) {
            // They are what is read again when something is sent.
            Ok(new) => assert!(super::stored_secrets(&new.credentials, crate::domain::Timestamp::UNIX_EPOCH).is_ok()),
            Err(problems) => assert!(problems.iter().all(|problem| problem.path.starts_with("/credentials"))),
        }
    });
}
