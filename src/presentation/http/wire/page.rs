//! A page of a list: how long it is, where it begins, where the next one does.

use super::fields::{Detail, Problems};
use crate::domain::message::MessageId;
use axum::http::HeaderName;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where the next page of a list begins that has no envelope.
pub static NEXT_CURSOR: HeaderName = HeaderName::from_static("x-next-cursor");

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// Always true.
    pub success: bool,
    pub data: Vec<T>,
    /// What to send as `cursor` for the next page; null on the last one.
    pub next_cursor: Option<String>,
}

/// 1 to 250.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Limit::parse -> Detail)]
#[schema(value_type = u32, minimum = 1, maximum = 250)]
pub struct Limit(pub u32);

impl Limit {
    pub const DEFAULT: u32 = 50;

    fn parse(text: String) -> Result<Self, Detail> {
        match text.parse() {
            Ok(number @ 1..=250) => Ok(Self(number)),
            _ => Err("must be a whole number from 1 to 250".into()),
        }
    }
}

/// Of a list that is given whole where it fits: 1 to 100,000.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = WideLimit::parse -> Detail)]
#[schema(value_type = u32, minimum = 1, maximum = 100_000)]
pub struct WideLimit(u32);

impl WideLimit {
    const MOST: u32 = 100_000;

    pub fn of(given: Option<Self>) -> u32 {
        given.map_or(Self::MOST, |limit| limit.0)
    }

    fn parse(text: String) -> Result<Self, Detail> {
        match text.parse() {
            Ok(number @ 1..=Self::MOST) => Ok(Self(number)),
            _ => Err("must be a whole number from 1 to 100000".into()),
        }
    }
}

/// Where a page begins of what is listed by its ids.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = IdCursor::parse -> Detail)]
#[schema(value_type = String)]
pub struct IdCursor(pub Uuid);

impl IdCursor {
    fn parse(text: String) -> Result<Self, Detail> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
        id.map(Self).ok_or_else(|| "must be the x-next-cursor of an answer".into())
    }

    pub fn text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Where a page begins. Opaque to clients: base64url of the last id of the page before.
#[derive(Clone, Copy, Debug, Deserr, ToSchema)]
#[deserr(error = Problems, try_from(String) = Cursor::parse -> Detail)]
#[schema(value_type = String)]
pub struct Cursor(pub MessageId);

impl Cursor {
    fn parse(text: String) -> Result<Self, Detail> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let id = bytes.and_then(|bytes| Uuid::from_slice(&bytes).ok());
        id.map(|id| Self(MessageId(id))).ok_or_else(|| "must be the nextCursor of a page".into())
    }

    pub fn text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0.0)
    }
}
