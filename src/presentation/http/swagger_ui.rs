//! The OpenAPI document and Swagger UI, both served from the binary.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::wire::problem::Problem;

/// `/api/openapi.json` and Swagger UI at `/api`.
pub fn routes<S: Clone + Send + Sync + 'static>(document: OpenApi) -> Router<S> {
    let document = Arc::new(document);
    Router::new()
        .route("/api/openapi.json", get(move || std::future::ready(Json(document.clone()))))
        .route("/api", get(index))
        .route("/api/", get(index))
        .route("/api/docs", get(index))
        .route("/api/{file}", get(file))
}

/// The page names its files relative to `/api/`; the base makes `/api` work as well.
async fn index() -> Response {
    match utoipa_swagger_ui::serve("index.html", ui_config()) {
        Ok(Some(file)) => {
            let page = String::from_utf8_lossy(&file.bytes).replacen("<head>", "<head><base href=\"/api/\">", 1);
            Html(page).into_response()
        }
        Ok(None) => Problem::not_found().into_response(),
        Err(error) => Problem::internal(error).into_response(),
    }
}

async fn file(name: Result<Path<String>, PathRejection>) -> Response {
    name.map_or_else(|_| Problem::not_found().into_response(), |Path(name)| asset(&name))
}

fn asset(file: &str) -> Response {
    match utoipa_swagger_ui::serve(file, ui_config()) {
        Ok(Some(file)) => ([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()).into_response(),
        Ok(None) => Problem::not_found().into_response(),
        Err(error) => Problem::internal(error).into_response(),
    }
}

fn ui_config() -> Arc<Config<'static>> {
    Arc::new(Config::from("/api/openapi.json"))
}
