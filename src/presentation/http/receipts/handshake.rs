//! `GET /api/messaging/webhook/{channelInstanceId}`, and `/webhook/meta`

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::state::SharedState;

/// What Meta asks when it is told where to report to.
#[derive(Default)]
struct Handshake {
    mode: String,
    token: String,
    challenge: String,
}

impl Handshake {
    fn read(query: Option<&str>) -> Self {
        let mut handshake = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.as_ref() {
                "hub.mode" => handshake.mode = value.into_owned(),
                "hub.verify_token" => handshake.token = value.into_owned(),
                "hub.challenge" => handshake.challenge = value.into_owned(),
                _ => {}
            }
        }
        handshake
    }

    /// The challenge alone: Meta compares the whole body.
    fn answer(self, is_known: bool) -> Result<Response, Problem> {
        if !is_known || self.mode != "subscribe" {
            return Err(Problem::handshake_refused());
        }
        let headers = [(CONTENT_TYPE, "text/plain"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
        Ok((headers, self.challenge).into_response())
    }
}

/// Shake hands with Meta over one instance
///
/// Answers the challenge as it is when the token is the instance's `verifyToken`. A wrong token and an unknown instance are
/// answered alike.
#[utoipa::path(get, path = "/api/messaging/webhook/{channelInstanceId}", operation_id = "shakeHands", tag = "providers",
    params(
        ("channelInstanceId" = String, Path, description = "The client's name for the instance"),
        ("hub.mode" = String, Query, description = "`subscribe`"),
        ("hub.verify_token" = String, Query, description = "The instance's `verifyToken`"),
        ("hub.challenge" = String, Query, description = "What is answered"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "The challenge"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "forbidden"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn shake_hands(
    State(state): State<SharedState>,
    name: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::handshake_refused())?;
    let handshake = Handshake::read(query.as_deref());
    let is_known = state.gateway.signed_events.handshakes.execute(Some(&name), &handshake.token).await?;
    handshake.answer(is_known)
}

/// Shake hands with Meta over an app that serves several numbers
///
/// The token is the `verifyToken` of any instance.
#[utoipa::path(get, path = "/api/messaging/webhook/meta", operation_id = "shakeHandsOfApp", tag = "providers",
    params(
        ("hub.mode" = String, Query, description = "`subscribe`"),
        ("hub.verify_token" = String, Query, description = "The `verifyToken` of an instance"),
        ("hub.challenge" = String, Query, description = "What is answered"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "The challenge"),
        (status = 403, body = ProblemBody, content_type = "application/problem+json", description = "forbidden"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn shake_hands_of_app(
    State(state): State<SharedState>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let handshake = Handshake::read(query.as_deref());
    let is_known = state.gateway.signed_events.handshakes.execute(None, &handshake.token).await?;
    handshake.answer(is_known)
}
