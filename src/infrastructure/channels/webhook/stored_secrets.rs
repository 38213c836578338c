//! The secrets of an instance, as its credentials have them.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::SigningSecret;
use crate::domain::Timestamp;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::delivery::DeliveryError;

/// The present secret, and the former ones that still sign beside it: those have a moment each, until when they do. What of them
/// cannot be read signs nothing.
///
/// # Errors
/// When the present one cannot be read.
pub fn stored_secrets(credentials: &Credentials, now: Timestamp) -> Result<Vec<SigningSecret>, DeliveryError> {
    let stored: Option<Value> = serde_json::from_str(credentials.expose()).ok();
    let present = stored.as_ref().and_then(secret_of);
    let present = present.ok_or_else(|| DeliveryError::misconfigured("The webhook's stored secret cannot be read"))?;
    let former = stored.as_ref().and_then(|stored| stored.get("former")?.as_array()).into_iter().flatten();
    let former = former.filter(|former| is_good(former, now)).filter_map(secret_of);
    Ok(std::iter::once(present).chain(former).collect())
}

fn secret_of(member: &Value) -> Option<SigningSecret> {
    SigningSecret::parse(member.get("secret")?.as_str()?).ok()
}

fn is_good(former: &Value, now: Timestamp) -> bool {
    let until = former.get("until").and_then(Value::as_str).and_then(|until| DateTime::parse_from_rfc3339(until).ok());
    until.is_some_and(|until| until.with_timezone(&Utc) > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: char) -> String {
        format!("whsec_{}", letter.to_string().repeat(32))
    }

    #[test]
    fn former_secrets_sign_until_their_time_is_over() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let credentials = serde_json::json!({
            "secret": secret('A'),
            "former": [
                { "secret": secret('B'), "until": "2026-11-30T12:00:00.001Z" },
                { "secret": secret('C'), "until": "2026-11-30T12:00:00.000Z" },
                { "secret": "nonsense", "until": "2026-12-30T12:00:00Z" },
                { "secret": secret('D') },
            ],
        });
        let secrets = stored_secrets(&Credentials::new(credentials.to_string()), now).unwrap();
        assert_eq!(secrets.iter().map(SigningSecret::expose).collect::<Vec<_>>(), [secret('A'), secret('B')]);
        assert!(stored_secrets(&Credentials::new("{}"), now).is_err());
    }
}
