//! `POST` and `DELETE /v2/scrape/{jobId}/interact`: runs code in the session of a scrape, and ends
//! that session.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hearth_contract::{InteractSession, ScrapeInteractRequest};

use super::delete_session::end_session;
use crate::http::client_connection::ClientConnection;
use crate::http::error::ApiError;
use crate::http::event_stream::answer_run;
use crate::http::execution::Answer;
use crate::http::extract::{AuthenticatedTeam, JobId, KeptRequest};
use crate::http::forward::forward_interaction;
use crate::http::links::Links;
use crate::http::state::AppState;
use crate::scrape::Interaction;
use crate::sessions::{Executed, Session};

pub(crate) async fn interact(
    State(state): State<AppState>,
    job_id: JobId,
    links: Links,
    Extension(connection): Extension<Arc<ClientConnection>>,
    request: KeptRequest,
) -> Result<Response, ApiError> {
    let KeptRequest {
        team,
        body,
        parts,
        bytes,
    } = request;
    let job_id = job_id.parse()?;
    let interact = ScrapeInteractRequest::parse(&body).map_err(ApiError::Validation)?;
    drop(body);
    let existing = interact.existing_session_id.as_deref();
    let forwarded = forward_interaction(&state, &parts, bytes, job_id, existing).await?;
    if let Some(response) = forwarded {
        return Ok(response);
    }
    let scrapes = Arc::clone(state.scrapes());
    let run = |live| async move {
        let interacting = scrapes.interact(&team, job_id, interact, live);
        let Interaction { session, executed } = interacting.await?;
        let Executed {
            response,
            taken_bytes,
            reserved,
        } = executed;
        Ok(Answer {
            pieces: describe(&session, &links).into_json(response),
            taken_bytes,
            reserved,
            session,
        })
    };
    answer_run(&state, connection, &parts.headers, run).await
}

fn describe(session: &Session, links: &Links) -> InteractSession {
    let live_view = links.live_view(session);
    InteractSession {
        session_id: session.id().to_string(),
        cdp_url: links.cdp_url(session),
        live_view_url: live_view.watch,
        interactive_live_view_url: live_view.control,
    }
}

pub(crate) async fn stop(
    State(state): State<AppState>,
    AuthenticatedTeam(team): AuthenticatedTeam,
    job_id: JobId,
    request: Request,
) -> Result<Response, ApiError> {
    let job_id = job_id.parse()?;
    let (parts, _) = request.into_parts();
    let forwarded = forward_interaction(&state, &parts, Bytes::new(), job_id, None).await?;
    if let Some(response) = forwarded {
        return Ok(response);
    }
    let id = state.scrapes().session_to_stop(&team, job_id).await?;
    // In a cluster, only the database has a session of an earlier server.
    let session = state.session(&id.to_string()).await?;
    Ok(Json(end_session(session).await).into_response())
}
