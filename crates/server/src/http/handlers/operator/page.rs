//! `GET /operator`: the page and its assets. The page contains no data of this server. It prompts
//! for a key.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::assets::{self, OPERATOR_POLICY};
use crate::http::error::ApiError;
use crate::operator::page::PAGE;

pub(crate) async fn html() -> Response {
    assets::html(&PAGE, StatusCode::OK, OPERATOR_POLICY, "no-cache")
}

/// `GET /operator/page/{part}`: a script or stylesheet of the page.
pub(crate) async fn asset(name: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    assets::asset(&PAGE, name)
}
