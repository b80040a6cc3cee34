//! `GET /`: the workbench and its assets. The page contains no data of this server. It prompts for
//! a key if the server has any.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::assets::{self, WORKBENCH_POLICY};
use crate::http::error::ApiError;
use crate::workbench::page::PAGE;

pub(crate) async fn html() -> Response {
    assets::html(&PAGE, StatusCode::OK, WORKBENCH_POLICY, "no-cache")
}

/// `GET /workbench/page/{part}`: a script or stylesheet of the page.
pub(crate) async fn asset(name: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    assets::asset(&PAGE, name)
}
