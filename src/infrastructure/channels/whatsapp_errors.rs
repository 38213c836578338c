//! What WhatsApp's own error codes mean, whoever passes them on: Meta's Cloud API, or Evolution API in its place.
//!
//! Source: Meta, "Error codes" (2026-06-18). Decided by the code alone: Meta's HTTP statuses and titles change.

use std::time::Duration;

use serde_json::Value;

/// What follows from a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// It was not taken, and may be later.
    TryLater,
    /// Too much was sent to this recipient. Others are not concerned.
    SpareRecipient,
    /// Too much was sent through the number, or asked for by its app: nothing more is taken before this has passed.
    SlowDown(Duration),
    /// This recipient or this content is refused for good.
    Refuse,
    /// Nothing is taken from the number for now: its quality, its right or its configuration is at fault.
    PutInstanceOff,
}

use Consequence::{PutInstanceOff, Refuse, SlowDown, SpareRecipient, TryLater};

/// Of rates that are counted by the hour.
const MINUTES: Duration = Duration::from_secs(60);
/// Of messages a second.
const SECONDS: Duration = Duration::from_secs(4);

/// The code by which an error is judged. Graph answers a phone number id that is gone, or that the token may not see, with the code of
/// a wrong parameter and this subcode.
pub fn code_of(code: i64, subcode: Option<i64>) -> i64 {
    if (code, subcode) == (100, Some(33)) { 33 } else { code }
}

/// A code in one of Meta's errors: a number, or a text.
pub fn number(value: &Value) -> Option<i64> {
    match value {
        Value::String(code) => code.trim().parse().ok(),
        code => code.as_i64(),
    }
}

/// None for a code that is not in Meta's list.
pub fn consequence(code: i64) -> Option<Consequence> {
    Some(match code {
        // Rates of the app, the user and the account.
        4 | 17 | 613 | 80_007 => SlowDown(MINUTES),
        // The number's throughput.
        130_429 => SlowDown(SECONDS),
        131_056 => SpareRecipient,
        // Service down, maintenance.
        1 | 2 | 131_000 | 131_016 | 131_057 | 133_004 => TryLater,
        // Not on WhatsApp, outside the 24 hours, healthy engagement, opted out, an experiment, to oneself, not in the test
        // number's list.
        131_026 | 131_047 | 470 | 131_049 | 131_050 | 130_472 | 131_021 | 131_030 => Refuse,
        // Its type, size, medium, parameters.
        131_051 | 131_058 | 131_052 | 131_053 | 100 | 131_008 | 131_009 => Refuse,
        // Its template or flow.
        132_000 | 132_001 | 132_005 | 132_007 | 132_012 | 132_015 | 132_016 | 132_068 | 132_069 => Refuse,
        // Token, permission, the number's id.
        0 | 3 | 10 | 33 | 190 | 200..=299 | 131_005 => PutInstanceOff,
        // Spam limit, policy, country, lock, payment.
        131_048 | 368 | 130_497 | 131_031 | 131_042 => PutInstanceOff,
        // Registration, PIN, certificate.
        131_045 | 133_000 | 133_005 | 133_006 | 133_010 | 133_015 | 133_016 => PutInstanceOff,
        _ => return None,
    })
}
