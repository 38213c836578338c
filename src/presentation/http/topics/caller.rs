use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::domain::access::principal::{Principal, Scope, Tenant};
use crate::presentation::http::wire::caller::Caller;
use crate::presentation::http::wire::problem::Problem;
use crate::presentation::http::wire::state::SharedState;

/// The caller of what is open where topics are (`TOPICS_OPEN`): one without credentials is the tenant `default`, and may publish
/// and list names there; what credentials say still counts.
pub struct TopicCaller(pub Caller);

impl FromRequestParts<SharedState> for TopicCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Problem> {
        let shows_none = !parts.headers.contains_key("x-api-key") && !parts.headers.contains_key(AUTHORIZATION);
        if state.topics.is_open && shows_none {
            let tenant = Tenant::new(Tenant::DEFAULT).map_err(Problem::internal)?;
            let scopes = vec![Scope::TopicsWrite, Scope::TopicsRead];
            return Ok(Self(Caller(Principal { tenant, subject: "anyone".to_owned(), scopes })));
        }
        Caller::from_request_parts(parts, state).await.map(Self)
    }
}
