//! The secrets of a subscription: the present one, and those that it replaced and that still sign beside it.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::instance::credentials::Credentials;

/// Former secrets that are kept at the most, however often it is replaced.
const MOST_FORMER: usize = 4;

/// As the channel `webhook` reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Secrets {
    secret: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<Former>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    secret: String,
    /// RFC 3339; from then on it signs no more.
    until: String,
}

/// The secret alone.
pub fn present(credentials: &Credentials) -> Option<String> {
    read(credentials).map(|secrets| secrets.secret)
}

/// The credentials with a new secret, beside which the present one signs for `overlap`. Those that cannot be read are replaced.
pub fn rotated(present: &Credentials, new: &Credentials, overlap: Duration, now: Timestamp) -> Credentials {
    let (Some(present), Some(new)) = (read(present), read(new)) else { return new.clone() };
    let mut former: Vec<Former> = present.former.into_iter().filter(|former| is_good(former, now)).collect();
    if present.secret != new.secret {
        let until = (now + overlap).to_rfc3339_opts(SecondsFormat::Millis, true);
        former.insert(0, Former { secret: present.secret, until });
    }
    former.retain(|former| former.secret != new.secret);
    former.truncate(MOST_FORMER);
    let secrets = Secrets { secret: new.secret, former };
    // A structure of texts always has JSON.
    Credentials::new(serde_json::to_string(&secrets).unwrap_or_default())
}

fn read(credentials: &Credentials) -> Option<Secrets> {
    serde_json::from_str(credentials.expose()).ok()
}

fn is_good(former: &Former, now: Timestamp) -> bool {
    DateTime::parse_from_rfc3339(&former.until).is_ok_and(|until| until.with_timezone(&Utc) > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn of(secret: &str) -> Credentials {
        Credentials::new(serde_json::json!({ "secret": secret }).to_string())
    }

    #[test]
    fn a_secret_that_is_replaced_signs_for_a_while() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let once = rotated(&of("a"), &of("b"), DAY, now);
        let expected = r#"{"secret":"b","former":[{"secret":"a","until":"2026-12-01T12:00:00.000Z"}]}"#;
        assert_eq!(once.expose(), expected);
        let twice = rotated(&once, &of("c"), DAY, now + Duration::from_secs(60));
        assert_eq!(read(&twice).unwrap().former.iter().map(|it| it.secret.as_str()).collect::<Vec<_>>(), ["b", "a"]);
        let later = rotated(&twice, &of("d"), DAY, now + 2 * DAY);
        assert_eq!(read(&later).unwrap().former.iter().map(|it| it.secret.as_str()).collect::<Vec<_>>(), ["c"]);
        // Back to the one before: it signs, once.
        let back = rotated(&once, &of("a"), DAY, now);
        assert_eq!(read(&back).unwrap().former.iter().map(|it| it.secret.as_str()).collect::<Vec<_>>(), ["b"]);
        let same = rotated(&of("a"), &of("a"), DAY, now);
        assert_eq!((present(&same).unwrap(), read(&same).unwrap().former), ("a".to_owned(), vec![]));
        let many = (0..9).fold(of("x"), |held, n| rotated(&held, &of(&n.to_string()), DAY, now));
        assert_eq!(read(&many).unwrap().former.len(), MOST_FORMER);
    }
}
