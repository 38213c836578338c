//! Moments in requests.

use super::fields::{Detail, Problems};
use crate::domain::Timestamp;
use deserr::Deserr;
use utoipa::ToSchema;

/// A moment, RFC 3339.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Moment::parse -> Detail)]
#[schema(value_type = String, format = "date-time")]
pub struct Moment(pub Timestamp);

impl Moment {
    fn parse(text: String) -> Result<Self, Detail> {
        let parsed = chrono::DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc());
        // Databases know fewer years than RFC 3339 lets one write; no message was made outside of these.
        parsed
            .ok()
            .filter(|at| (1970..=9999).contains(&chrono::Datelike::year(at)))
            .map(Self)
            .ok_or_else(|| "must be an RFC 3339 time, e.g. 2026-01-18T12:00:00Z".into())
    }
}
