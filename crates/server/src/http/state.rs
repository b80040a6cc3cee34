//! What every handler can reach.

use std::sync::Arc;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Uri};
use hearth_contract::SessionStatus;
use jiff::Timestamp;
use uuid::Uuid;

use crate::clock;
use crate::http::auth::{Keys, Team};
use crate::http::error::ApiError;
use crate::profiles::Profiles;
use crate::sandbox::Level;
use crate::sessions::{Known, Registry, Session};

/// The links of a session's live view.
#[derive(Debug, Default)]
pub(crate) struct LiveViewUrls {
    pub watch: String,
    pub steer: String,
}

/// Shared by all handlers, cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    keys: Keys,
    public_url: Option<String>,
    /// Where the server listens, as a host; for requests that name none.
    local_host: String,
    /// The `Content-Security-Policy` of the live view's page.
    page_policy: HeaderValue,
    isolation: Level,
    started_at: Timestamp,
    registry: Arc<Registry>,
}

impl AppState {
    pub fn new(
        keys: Keys,
        public_url: Option<String>,
        local_host: String,
        page_policy: HeaderValue,
        isolation: Level,
        registry: Arc<Registry>,
    ) -> AppState {
        let started_at = clock::now();
        AppState(Arc::new(Shared {
            keys,
            public_url,
            local_host,
            page_policy,
            isolation,
            started_at,
            registry,
        }))
    }

    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    pub fn profiles(&self) -> &Arc<Profiles> {
        self.registry().profiles()
    }

    /// How sessions are kept apart.
    pub fn isolation(&self) -> Level {
        self.0.isolation
    }

    /// When the server began to serve.
    pub fn started_at(&self) -> Timestamp {
        self.0.started_at
    }

    pub fn page_policy(&self) -> &HeaderValue {
        &self.0.page_policy
    }

    /// The caller's session, in the order of checks that clients expect: known, then theirs.
    pub fn find(&self, id: &str, team: &Team) -> Result<Known, ApiError> {
        let id = Uuid::parse_str(id).map_err(|_| ApiError::SessionNotFound)?;
        let known = self.registry().find(id).ok_or(ApiError::SessionNotFound)?;
        if known.team() == team {
            Ok(known)
        } else {
            Err(ApiError::Forbidden)
        }
    }

    /// Where the browser of a session can be reached from the caller's machine; empty for an ended
    /// one.
    pub fn cdp_url_of(&self, known: &Known, headers: &HeaderMap) -> String {
        match known {
            Known::Own(session) => self.cdp_url(session, headers),
            Known::Past(_) => String::new(),
        }
    }

    /// Where people can watch a session, and where they can steer it; empty for an ended one.
    pub fn live_view_urls_of(&self, known: &Known, headers: &HeaderMap) -> LiveViewUrls {
        match known {
            Known::Own(session) => self.live_view_urls(session, headers),
            Known::Past(_) => LiveViewUrls::default(),
        }
    }

    /// Where the browser of `session` can be reached from the caller's machine; empty for an ended
    /// session.
    pub fn cdp_url(&self, session: &Session, headers: &HeaderMap) -> String {
        if session.status() == SessionStatus::Destroyed {
            return String::new();
        }
        format!(
            "{}?token={}",
            self.cdp_base(session, headers),
            session.token().as_str()
        )
    }

    /// The same without its token.
    pub fn cdp_base(&self, session: &Session, headers: &HeaderMap) -> String {
        let origin = self.own_origin(headers);
        // `http` becomes `ws` and `https` becomes `wss`.
        let rest = origin.strip_prefix("http").unwrap_or(&origin);
        format!("ws{rest}/cdp/{}", session.id())
    }

    /// Where people can watch `session`, and where they can steer it. Empty for an ended session,
    /// and for one that was made without a live view.
    pub fn live_view_urls(&self, session: &Session, headers: &HeaderMap) -> LiveViewUrls {
        let tokens = session
            .live_tokens()
            .filter(|_| session.status() == SessionStatus::Active);
        let Some(tokens) = tokens else {
            return LiveViewUrls::default();
        };
        let base = format!("{}/live/{}", self.own_origin(headers), session.id());
        LiveViewUrls {
            watch: format!("{base}?token={}", tokens.watch.as_str()),
            steer: format!("{base}?token={}", tokens.steer.as_str()),
        }
    }

    /// Whether a request comes from a page of ours, or from no page at all: browsers say whose page
    /// connects.
    pub fn is_own_origin(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return true;
        };
        let Some(origin) = origin.to_str().ok().filter(|_| origins.next().is_none()) else {
            return false;
        };
        if self
            .0
            .public_url
            .as_deref()
            .is_some_and(|url| url.eq_ignore_ascii_case(origin))
        {
            return true;
        }
        // A proxy in front may have taken TLS off, so the scheme is not compared.
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = origin
            .parse::<Uri>()
            .ok()
            .and_then(|uri| uri.into_parts().authority);
        host.zip(authority)
            .is_some_and(|(host, authority)| host.eq_ignore_ascii_case(authority.as_str()))
    }

    fn own_origin(&self, headers: &HeaderMap) -> String {
        self.0
            .public_url
            .clone()
            .unwrap_or_else(|| self.origin_of(headers))
    }

    fn origin_of(&self, headers: &HeaderMap) -> String {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST.as_str()).unwrap_or(&self.0.local_host);
        let secure =
            text("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        format!("{}://{host}", if secure { "https" } else { "http" })
    }
}
