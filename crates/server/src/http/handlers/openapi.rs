//! `GET /openapi.json`: the description of every route, as it stands in the repository. No key
//! needed.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const OPENAPI: &str = include_str!("../../../../../openapi/openapi.json");

pub(crate) async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], OPENAPI)
}
