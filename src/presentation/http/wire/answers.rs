//! What operations answer that have something in common, for the document.

use super::problem::ProblemBody;
use std::collections::BTreeMap;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response as Documented, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// The answers of every operation that authenticates its caller.
pub struct Authenticated;

/// The answers of every operation that reads a body.
pub struct WithBody;

/// The answers of every operation that reads query parameters.
pub struct WithQuery;

/// The answers of every operation that may have to read a long history; listed after [`Authenticated`].
pub struct Searching;

impl IntoResponses for Searching {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        problems([(503, "unavailable, search-too-long")])
    }
}

impl IntoResponses for Authenticated {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        problems([(401, "unauthorized"), (403, "forbidden"), (500, "internal"), (503, "unavailable")])
    }
}

impl IntoResponses for WithBody {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        problems([
            (400, "malformed-json, malformed-key"),
            (413, "body-too-large"),
            (415, "unsupported-media-type"),
            (422, "invalid-field, key-reused, recipient-refused"),
        ])
    }
}

impl IntoResponses for WithQuery {
    fn responses() -> BTreeMap<String, RefOr<Documented>> {
        problems([(422, "invalid-field")])
    }
}

fn problems(answers: impl IntoIterator<Item = (u16, &'static str)>) -> BTreeMap<String, RefOr<Documented>> {
    let schema = Ref::from_schema_name(ProblemBody::name());
    let documented = |names: &str| {
        ResponseBuilder::new()
            .description(names)
            .content("application/problem+json", ContentBuilder::new().schema(Some(schema.clone())).build())
            .build()
    };
    answers.into_iter().map(|(status, names)| (status.to_string(), RefOr::T(documented(names)))).collect()
}
