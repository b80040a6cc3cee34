//! The URLs of a session that responses contain.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;
use hearth_contract::SessionStatus;
use uuid::Uuid;

use crate::cluster::TokenKeys;
use crate::http::state::AppState;
use crate::sessions::{Session, SessionEntry};
use crate::store::cluster::ClusterSession;
use crate::token::Token;

/// Builds URLs that the client of one request can reach.
#[derive(Debug)]
pub(crate) struct Links {
    origin: String,
}

/// The two links of a session's live view. Both are empty for a session without a live view.
#[derive(Debug, Default)]
pub(crate) struct LiveViewUrls {
    /// The link that only shows the session.
    pub watch: String,
    /// The link that also accepts input.
    pub control: String,
}

impl FromRequestParts<AppState> for Links {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Links, Infallible> {
        let origin = match state.public_url() {
            Some(url) => url.to_owned(),
            None => requested_origin(&parts.headers, state.local_host()),
        };
        Ok(Links { origin })
    }
}

/// Returns the origin that a request was sent to. A reverse proxy that terminates TLS sends the
/// original scheme in `X-Forwarded-Proto`.
fn requested_origin(headers: &HeaderMap, local_host: &str) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(HOST.as_str()).unwrap_or(local_host);
    let secure =
        text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    format!("{}://{host}", if secure { "https" } else { "http" })
}

impl Links {
    /// Returns the CDP URL with its token. It is empty for an ended session.
    pub fn cdp_url(&self, session: &Session) -> String {
        if session.status() == SessionStatus::Destroyed {
            return String::new();
        }
        format!(
            "{}?token={}",
            self.cdp_base(session),
            session.token().as_str()
        )
    }

    /// Returns the CDP URL without a token.
    pub fn cdp_base(&self, session: &Session) -> String {
        self.cdp_base_of(session.id())
    }

    fn cdp_base_of(&self, id: Uuid) -> String {
        // `http` becomes `ws`, and `https` becomes `wss`.
        let rest = self.origin.strip_prefix("http").unwrap_or(&self.origin);
        format!("ws{rest}/cdp/{id}")
    }

    /// Returns the live view links. They are empty for an ended session and for a session without a
    /// live view.
    pub fn live_view(&self, session: &Session) -> LiveViewUrls {
        let tokens = session
            .live_view_tokens()
            .filter(|_| session.status() == SessionStatus::Active);
        let Some(tokens) = tokens else {
            return LiveViewUrls::default();
        };
        self.live_view_urls(session.id(), &tokens.watch, &tokens.control)
    }

    /// Returns the CDP URL and the live view links of a session of a cluster, which may have ended.
    pub fn of_cluster(&self, session: &ClusterSession, keys: &TokenKeys) -> (String, LiveViewUrls) {
        let ClusterSession {
            record, token_key, ..
        } = session;
        let tokens = token_key.and_then(|key| keys.derive_with(key, record.id));
        let Some(tokens) = tokens.filter(|_| record.ending.is_none()) else {
            return Default::default();
        };
        let cdp_url = format!(
            "{}?token={}",
            self.cdp_base_of(record.id),
            tokens.cdp.as_str()
        );
        let live_view = match &record.links {
            Some(_) => self.live_view_urls(record.id, &tokens.watch, &tokens.control),
            None => LiveViewUrls::default(),
        };
        (cdp_url, live_view)
    }

    fn live_view_urls(&self, id: Uuid, watch: &Token, control: &Token) -> LiveViewUrls {
        let base = format!("{}/live/{id}", self.origin);
        LiveViewUrls {
            watch: format!("{base}?token={}", watch.as_str()),
            control: format!("{base}?token={}", control.as_str()),
        }
    }

    /// Returns the CDP URL and the live view links of a session that may have ended.
    pub fn of(&self, session: &SessionEntry) -> (String, LiveViewUrls) {
        match session {
            SessionEntry::Current(session) => (self.cdp_url(session), self.live_view(session)),
            SessionEntry::Recorded(_) => Default::default(),
        }
    }
}
