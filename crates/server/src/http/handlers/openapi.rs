//! `GET /openapi.json`: the `OpenAPI` description of every route. Requires no key.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const OPENAPI: &str = include_str!("../../../../../openapi/openapi.json");

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}
