//! `POST /auth/login` and `POST /api/auth/signin`

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::application::access::sign_in::{SignInError, SignedIn};
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::body::json;
use crate::presentation::http::wire::envelope::rfc3339;
use crate::presentation::http::wire::problem::{Problem, ProblemBody};
use crate::presentation::http::wire::serving::to_its_end;
use crate::presentation::http::wire::state::SharedState;

/// The longest name and password that are looked at, in bytes.
const LONGEST: usize = 1024;

/// A name and a password.
#[derive(ToSchema)]
#[allow(dead_code, reason = "for the document: what is sent is read member by member")]
#[schema(example = json!({ "username": "partner", "password": "secret" }))]
pub struct LoginRequest {
    /// Also as `email`.
    #[schema(example = "partner")]
    username: String,
    #[schema(example = "secret")]
    password: String,
}

/// A token, under the names that clients look for.
#[derive(Serialize, ToSchema)]
pub struct LoginData {
    success: bool,
    message: &'static str,
    /// To be sent as `Authorization: Bearer`.
    access_token: String,
    #[serde(rename = "accessToken")]
    access_token_again: String,
    token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
    user: UserData,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserData {
    id: String,
    username: String,
    /// Equal to `username`.
    email: String,
    tenant: String,
    scopes: Vec<String>,
    #[schema(format = "date-time")]
    created_at: String,
}

/// Log in
///
/// A token for a user of this installation (`correio users create`), whatever the content type says of the body. Five failures
/// with one name within 15 minutes lock it for 15 minutes, whether or not there is such a user. Also at `/api/auth/login`.
#[utoipa::path(post, path = "/auth/login", operation_id = "login", tag = "access",
    request_body = LoginRequest, security(()),
    responses(
        (status = 200, body = LoginData, description = "A token"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed-json, invalid-field"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "unsupported-media-type: another `Content-Encoding`"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "invalid-field: half of a surrogate pair"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "name-locked, too-many-requests"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json", description = "internal"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn login(state: State<SharedState>, request: Request) -> Result<Response, Problem> {
    sign_in(state, request, ["username", "email", "password"]).await
}

/// Log in, as clients of the messaging API do
#[utoipa::path(post, path = "/api/auth/signin", operation_id = "signIn", tag = "access",
    request_body = LoginRequest, security(()),
    responses(
        (status = 200, body = LoginData, description = "A token"),
        (status = 400, body = ProblemBody, content_type = "application/problem+json", description = "malformed-json, invalid-field"),
        (status = 401, body = ProblemBody, content_type = "application/problem+json", description = "unauthorized"),
        (status = 413, body = ProblemBody, content_type = "application/problem+json", description = "body-too-large"),
        (status = 415, body = ProblemBody, content_type = "application/problem+json", description = "unsupported-media-type: another `Content-Encoding`"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "invalid-field: half of a surrogate pair"),
        (status = 429, body = ProblemBody, content_type = "application/problem+json", description = "name-locked, too-many-requests"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json", description = "internal"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json", description = "unavailable"),
    ))]
pub async fn sign_in_by_email(state: State<SharedState>, request: Request) -> Result<Response, Problem> {
    sign_in(state, request, ["email", "username", "password"]).await
}

/// `members`: what the name is called, what else, and what the password is called.
async fn sign_in(
    State(state): State<SharedState>,
    request: Request,
    members: [&'static str; 3],
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let body = json(&head.headers, body, &state.bodies).await?;
    let (name, password) = credentials(&body, members)?;
    let gateway = state.gateway.clone();
    // A caller that hangs up must not leave a guess uncounted.
    let signing_in = async move { gateway.access.sign_in.execute(&name, password).await };
    let now = chrono::Utc::now();
    match to_its_end(&state.tasks, signing_in).await? {
        Ok(signed_in) => Ok(answer(signed_in)),
        Err(SignInError::Refused) => Err(Problem::not_signed_in()),
        Err(SignInError::Locked(until)) => {
            Err(Problem::name_locked((until - now).num_seconds().max(0).unsigned_abs() + 1))
        }
        Err(SignInError::Busy) => Err(Problem::too_many_in_flight()),
        Err(SignInError::Repository(error)) => Err(error.into()),
        Err(SignInError::Failed(cause)) => Err(Problem::internal(cause)),
    }
}

fn credentials(body: &Value, [name, other, password]: [&'static str; 3]) -> Result<(String, String), Problem> {
    let text = |member: &str| body.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (given, secret) = (text(name).or_else(|| text(other)), text(password));
    let missing: Vec<&str> =
        [(name, given), (password, secret)].into_iter().filter(|(_, text)| text.is_none()).map(|(it, _)| it).collect();
    let (Some(given), Some(secret)) = (given, secret) else {
        let problems = missing.iter().map(|member| FieldProblem::new(format!("/{member}"), "is required"));
        // All that are required, whichever is missing: a sentence that clients compare.
        let sentence = format!("Missing required fields: {name}, {password}");
        return Err(Problem::bad_request(problems).with_detail(sentence));
    };
    let too_long = [(name, given), (password, secret)].into_iter().filter(|(_, text)| text.len() > LONGEST);
    let too_long: Vec<FieldProblem> = too_long
        .map(|(member, _)| FieldProblem::new(format!("/{member}"), format!("must have at most {LONGEST} bytes")))
        .collect();
    if [given, secret].iter().any(|text| text.contains('\0')) {
        // No name and no password has one: no database is asked.
        return Err(Problem::not_signed_in());
    }
    if too_long.is_empty() { Ok((given.to_owned(), secret.to_owned())) } else { Err(Problem::bad_request(too_long)) }
}

fn answer(SignedIn { user, token, lives }: SignedIn) -> Response {
    let data = LoginData {
        success: true,
        message: "Login successful",
        access_token: token.clone(),
        access_token_again: token.clone(),
        token,
        token_type: "Bearer",
        expires_in: lives.as_secs(),
        user: UserData {
            id: user.id.to_string(),
            email: user.name.clone(),
            username: user.name,
            tenant: user.tenant.to_string(),
            scopes: user.scopes.iter().map(ToString::to_string).collect(),
            created_at: rfc3339(user.created_at),
        },
    };
    (StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], Json(data)).into_response()
}
