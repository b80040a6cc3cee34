//! What every handler can reach.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::HOST;
use hearth_contract::SessionStatus;
use uuid::Uuid;

use crate::auth::{Keys, Team};
use crate::error::ApiError;
use crate::sessions::{Registry, Session};

/// Shared by all handlers, cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keys: Keys,
    public_url: Option<String>,
    /// Where the server listens, as a host; for requests that name none.
    local_host: String,
    registry: Arc<Registry>,
}

impl AppState {
    pub fn new(keys: Keys, public_url: Option<String>, local_host: String, registry: Arc<Registry>) -> AppState {
        AppState(Arc::new(Shared { keys, public_url, local_host, registry }))
    }

    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// The caller's session, in the order of checks that clients expect: known, then theirs.
    pub fn find(&self, id: &str, team: &Team) -> Result<Arc<Session>, ApiError> {
        let id = Uuid::parse_str(id).map_err(|_| ApiError::SessionNotFound)?;
        let session = self.registry().find(id).ok_or(ApiError::SessionNotFound)?;
        if session.team() == team { Ok(session) } else { Err(ApiError::Forbidden) }
    }

    /// Where the browser of `session` can be reached from the caller's machine; empty for an ended session.
    pub fn cdp_url(&self, session: &Session, headers: &HeaderMap) -> String {
        if session.status() == SessionStatus::Destroyed {
            return String::new();
        }
        format!("{}?token={}", self.cdp_base(session, headers), session.token().as_str())
    }

    /// The same without its token.
    pub fn cdp_base(&self, session: &Session, headers: &HeaderMap) -> String {
        let origin = match &self.0.public_url {
            Some(url) => url.clone(),
            None => self.origin_of(headers),
        };
        // `http` becomes `ws` and `https` becomes `wss`.
        let rest = origin.strip_prefix("http").unwrap_or(&origin);
        format!("ws{rest}/cdp/{}", session.id())
    }

    fn origin_of(&self, headers: &HeaderMap) -> String {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST.as_str()).unwrap_or(&self.0.local_host);
        let secure = text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        format!("{}://{host}", if secure { "https" } else { "http" })
    }
}
