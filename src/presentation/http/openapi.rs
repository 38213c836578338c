//! The OpenAPI document, without its operations: those document themselves.

use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi as _};

use super::events::list::EventStatusField;
use super::kafka_rest::RestErrorBody;
use super::messages::list::{DirectionField, PurposeField, StatusField};
use super::wire::moment::Moment;
use super::wire::page::{Cursor, IdCursor, Limit, WideLimit};
use super::wire::problem::{FieldError, ProblemBody};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Correio",
        description = "One authenticated REST API in front of every channel a company sends through."
    ),
    // Besides what the operations name themselves: what their parameters and shared answers are made of.
    components(schemas(
        ProblemBody, FieldError, RestErrorBody, DirectionField, PurposeField, StatusField, EventStatusField, Moment, Limit, Cursor, WideLimit, IdCursor
    )),
    modifiers(&Security),
    security(("apiKey" = []), ("bearer" = [])),
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        let api_key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        let bearer = SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("JWT")
                .description(Some("A JWT, or an API key."))
                .build(),
        );
        components.add_security_scheme("apiKey", api_key);
        components.add_security_scheme("bearer", bearer);
    }
}

/// The document without its operations.
pub fn empty_document() -> OpenApi {
    Document::openapi()
}
