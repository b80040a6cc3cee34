//! The operator's page, and what it asks for. An operator's key opens all of it; a team's key what
//! is the team's.

pub(crate) mod page;
pub(crate) mod session;
pub(crate) mod state;

use std::sync::Arc;

use axum::http::HeaderMap;
use uuid::Uuid;

use crate::http::auth::{Onlooker, Team};
use crate::http::error::ApiError;
use crate::http::state::AppState;
use crate::sessions::{Known, Session};

/// Whether somebody may see what belongs to a team.
fn may_see(onlooker: &Onlooker, team: &Team) -> bool {
    match onlooker {
        Onlooker::Operator => true,
        Onlooker::Team(own) => own == team,
    }
}

/// A session that somebody may see.
fn find(state: &AppState, id: &str, headers: &HeaderMap) -> Result<Arc<Session>, ApiError> {
    let onlooker = state.keys().onlooker(headers)?;
    let id = Uuid::parse_str(id).map_err(|_| ApiError::SessionNotFound)?;
    let known = state.registry().find(id).ok_or(ApiError::SessionNotFound)?;
    match known {
        known if !may_see(&onlooker, known.team()) => Err(ApiError::Forbidden),
        Known::Own(session) => Ok(session),
        Known::Past(_) => Err(ApiError::SessionDestroyed),
    }
}
