//! The caller of a request, and its scopes.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use super::problem::Problem;
use super::serving::is_of;
use super::state::SharedState;
use crate::application::access::authenticate::{AuthenticateError, Authenticated, Presented};
use crate::domain::access::principal::{MissingScope, Principal, Scope};

/// The authenticated caller. Named first among a handler's arguments, so that nothing of the request is looked at before.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

impl Caller {
    /// # Errors
    /// 403, naming the scope.
    pub fn must(&self, scope: Scope) -> Result<&Principal, Problem> {
        if self.0.may(scope) { Ok(&self.0) } else { Err(Problem::forbidden(scope)) }
    }
}

impl From<MissingScope> for Problem {
    fn from(MissingScope(scope): MissingScope) -> Self {
        Self::forbidden(scope)
    }
}

impl FromRequestParts<SharedState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let principal = match parts.extensions.remove::<Known>() {
            Some(Known(principal)) => principal,
            None => authenticated(&parts.headers, state).await?.principal,
        };
        tracing::Span::current().record("tenant", principal.tenant.as_str());
        Ok(Caller(principal))
    }
}

/// The caller of a request whose credentials were looked at before its handler.
#[derive(Clone)]
pub struct Known(pub Principal);

/// # Errors
/// 401 without valid credentials; 503 when its tenant has three quarters of all places already.
pub async fn authenticated(headers: &HeaderMap, state: &SharedState) -> Result<Authenticated, Problem> {
    let presented = presented(headers)?;
    let caller = state.gateway.access.authenticate.with_limit(presented).await.map_err(|error| match error {
        AuthenticateError::Invalid(reason) => Problem::invalid_credentials(&reason),
        AuthenticateError::Repository(error) => error.into(),
        AuthenticateError::Unavailable(reason) => Problem::unavailable(reason),
    })?;
    is_of(&caller.principal.tenant).map_err(|_| Problem::too_many_of_tenant())?;
    Ok(caller)
}

pub(in crate::presentation::http) fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Problem> {
    let unreadable = |_| Problem::invalid_credentials("they are not visible ASCII");
    let (key, authorization) = (headers.get("x-api-key"), headers.get(AUTHORIZATION));
    // An empty one is a variable that is not set, where the caller presents something else.
    let is_passed_over = |key: &HeaderValue| authorization.is_some() && key.as_bytes().trim_ascii().is_empty();
    if let Some(key) = key.filter(|key| !is_passed_over(key)) {
        return Ok(Presented::ApiKey(key.to_str().map_err(unreadable)?.trim()));
    }
    let Some(authorization) = authorization else { return Err(Problem::unauthenticated()) };
    let authorization = authorization.to_str().map_err(unreadable)?;
    match authorization.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Presented::Bearer(token.trim())),
        _ => Err(Problem::invalid_credentials("the scheme is not Bearer")),
    }
}
