//! Reading a request's query parameters.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use deserr::Deserr;
use serde_json::{Map, Value};

use super::fields::{self, Problems};
use super::problem::Problem;
use crate::domain::problem::FieldProblem;

/// The query parameters, each given at most once; unknown ones are refused.
pub struct Query<T>(pub T);

impl<T: Deserr<Problems>, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut parameters = Map::new();
        for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let path = format!("/{name}");
            if parameters.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
                return Err(Problem::invalid_field([FieldProblem::new(path, "is given more than once")]));
            }
        }
        let read = fields::read(Value::Object(parameters)).map_err(|problems| Problem::invalid_field(problems.0))?;
        Ok(Query(read))
    }
}

/// Of a route that has no query parameters.
#[derive(Debug, Deserr)]
#[deserr(error = Problems, deny_unknown_fields)]
pub struct NoParameters {}
