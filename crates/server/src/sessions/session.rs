//! One session: what stays known of it, also after its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_browser::{Browser, BrowserError, Client, Identity, Side, Target, Viewport};
use hearth_contract::{
    CreateRequest, DestroyedReason, Language, Limit, ProfileWarning, SessionStatus,
};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::activity::Activity;
use super::recent::Recent;
use super::registry::Services;
use super::resources::SessionResources;
use crate::clock;
use crate::http::auth::{Team, Token};
use crate::http::error::ApiError;
use crate::live_view::{LiveView, Right};
use crate::store::{ExecutionRecord, SessionRecord};

/// How long the answer to a delete waits for the clean-up, which goes on regardless.
const END_BOUND: Duration = Duration::from_secs(10);

/// How long a look at its tabs may take.
const LOOK_BOUND: Duration = Duration::from_millis(500);

/// How and when a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub reason: DestroyedReason,
    /// The limit that it went past, when that is the reason.
    pub limit: Option<Limit>,
    pub at: Timestamp,
    pub duration_ms: u64,
}

impl Ending {
    /// Why it ended, for people.
    pub fn sentence(self) -> String {
        self.limit
            .map_or_else(|| self.reason.sentence().to_owned(), Limit::sentence)
    }

    /// Why code that was running did not finish.
    pub(super) fn execution_error(self) -> String {
        self.limit.map_or_else(
            || self.reason.execution_error().to_owned(),
            Limit::session_error,
        )
    }
}

/// How far the end has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub ending: Option<Ending>,
    /// What was lost of its profile.
    pub warning: Option<ProfileWarning>,
    /// Nothing of the session is left but this record.
    pub cleaned: bool,
}

/// A session, active or ended.
#[derive(Debug)]
pub(crate) struct Session {
    id: Uuid,
    team: Team,
    /// In `cdpUrl`.
    token: Token,
    /// For the session's own kernels and daemon.
    internal_token: Token,
    /// In the links of the live view; none when it is not wanted.
    live_view_tokens: Option<LiveViewTokens>,
    created_at: Timestamp,
    created: Instant,
    pub(super) ttl: Duration,
    pub(super) activity_ttl: Duration,
    pub(super) activity: Activity,
    /// Watched by the session's owner task, which does the clean-up, and by whoever waits for that.
    pub(super) progress: watch::Sender<Progress>,
    /// Given back the moment the session ends.
    place: Mutex<Option<OwnedSemaphorePermit>>,
    /// Taken by the owner task at the end.
    pub(super) live: Mutex<Option<Arc<SessionResources>>>,
    pub(super) services: Services,
    pub(super) recent: Recent,
    /// The name of the profile that it has.
    profile: Option<String>,
    /// What it had at the last look.
    memory_bytes: AtomicU64,
    /// What its creator should know.
    warning: Option<ProfileWarning>,
}

/// The secrets of a session to be.
pub(super) struct Tokens {
    pub public: Token,
    pub internal: Token,
    pub live: Option<LiveViewTokens>,
}

impl Tokens {
    pub fn new(with_live_view: bool) -> Result<Tokens, getrandom::Error> {
        let live = || {
            Ok(LiveViewTokens {
                watch: Token::new()?,
                steer: Token::new()?,
            })
        };
        let live = if with_live_view { Some(live()?) } else { None };
        Ok(Tokens {
            public: Token::new()?,
            internal: Token::new()?,
            live,
        })
    }
}

/// The secrets of the live view's two links.
#[derive(Debug)]
pub(crate) struct LiveViewTokens {
    /// Of the one that only shows.
    pub watch: Token,
    /// Of the one that also takes input.
    pub steer: Token,
}

impl Session {
    pub(super) fn new(
        id: Uuid,
        team: Team,
        request: &CreateRequest,
        tokens: Tokens,
        place: OwnedSemaphorePermit,
        live: Arc<SessionResources>,
        services: Services,
    ) -> Session {
        let created_at = clock::now();
        Session {
            id,
            team,
            token: tokens.public,
            internal_token: tokens.internal,
            live_view_tokens: tokens.live,
            created_at,
            created: Instant::now(),
            ttl: Duration::from_secs(request.ttl_seconds.into()),
            activity_ttl: Duration::from_secs(request.activity_ttl_seconds.into()),
            activity: Activity::new(created_at),
            progress: watch::Sender::new(Progress::default()),
            place: Mutex::new(Some(place)),
            live: Mutex::new(Some(live)),
            services,
            recent: Recent::default(),
            profile: request.profile.as_ref().map(|profile| profile.name.clone()),
            memory_bytes: AtomicU64::new(0),
            warning: None,
        }
    }

    pub(super) fn with_warning(self, warning: Option<ProfileWarning>) -> Session {
        Session { warning, ..self }
    }

    /// What became of its profile when it was created, if its creator should know.
    pub fn warning(&self) -> Option<&ProfileWarning> {
        self.warning.as_ref()
    }

    /// The same of its end.
    pub fn end_warning(&self) -> Option<ProfileWarning> {
        self.progress.borrow().warning.clone()
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    pub fn team(&self) -> &Team {
        &self.team
    }

    pub fn token(&self) -> &Token {
        &self.token
    }

    pub fn internal_token(&self) -> &Token {
        &self.internal_token
    }

    /// The secrets of the live view's links, if it has any.
    pub fn live_view_tokens(&self) -> Option<&LiveViewTokens> {
        self.live_view_tokens.as_ref()
    }

    /// What a live view's token allows.
    pub fn right_of(&self, presented: &str) -> Option<Right> {
        let tokens = self.live_view_tokens()?;
        match (
            tokens.steer.matches(presented),
            tokens.watch.matches(presented),
        ) {
            (true, _) => Some(Right::Steer),
            (false, true) => Some(Right::Watch),
            (false, false) => None,
        }
    }

    /// What viewers look at.
    pub fn live_view(&self) -> Result<Arc<LiveView>, ApiError> {
        Ok(Arc::clone(&self.live()?.view))
    }

    /// Creation plus `ttl`; activity does not move it.
    pub fn expires_at(&self) -> Timestamp {
        let ttl = SignedDuration::try_from(self.ttl).unwrap_or(SignedDuration::MAX);
        self.created_at.checked_add(ttl).unwrap_or(Timestamp::MAX)
    }

    /// The monotonic form of [`expires_at`](Session::expires_at).
    pub(super) fn expires(&self) -> Instant {
        self.created + self.ttl
    }

    /// The name of the profile that it has.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The last of its executions, newest first.
    pub fn latest_executions(&self) -> Vec<ExecutionRecord> {
        self.recent.latest()
    }

    /// In which languages code runs now.
    pub fn running(&self) -> Vec<Language> {
        self.activity.watch().borrow().languages().collect()
    }

    /// What it had at the last look, in bytes; what several of its processes share counts for each.
    /// 0 before the first look.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn note_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Where its current tab is, and the title there; none when the browser does not say at once.
    pub async fn current_page(&self) -> Option<(String, String)> {
        let browser = self.browser().ok()?;
        let tabs = timeout(LOOK_BOUND, browser.tabs()).await.ok()?.ok()?;
        tabs.into_iter()
            .find(|tab| tab.is_current)
            .map(|tab| (tab.url, tab.title))
    }

    /// A picture of its current tab, a JPEG of at most that size. None when there is nothing to
    /// see, and for a session that was made without a live view.
    pub async fn glance(&self, most: Viewport) -> Option<Bytes> {
        self.live_view_tokens()?;
        let browser = self.browser().ok()?;
        let tab = browser.current_tab()?;
        browser.glance(&tab, most).await.ok()?
    }

    /// What stays known of it, as it is now.
    pub fn record(&self) -> SessionRecord {
        SessionRecord {
            id: self.id,
            team: Team::clone(&self.team),
            created_at: self.created_at,
            expires_at: self.expires_at(),
            last_activity: self.activity.last_activity(),
            links: self
                .live_view_tokens
                .as_ref()
                .map(|links| [links.watch.digest(), links.steer.digest()]),
            ending: self.ending(),
        }
    }

    /// Whether nothing of it is left but this record.
    pub(super) fn is_cleaned(&self) -> bool {
        self.progress.borrow().cleaned
    }

    /// How it ended, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.progress.borrow().ending
    }

    pub fn status(&self) -> SessionStatus {
        if self.ending().is_some() {
            SessionStatus::Destroyed
        } else {
            SessionStatus::Active
        }
    }

    /// What the session owns, unless it has ended.
    pub(super) fn live(&self) -> Result<Arc<SessionResources>, ApiError> {
        if self.ending().is_some() {
            return Err(ApiError::SessionDestroyed);
        }
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.clone().ok_or(ApiError::SessionDestroyed)
    }

    /// A new client of the session's browser, or of one target in it.
    pub async fn attach_client(
        &self,
        target: Option<&str>,
        side: Side,
    ) -> Result<Client, ApiError> {
        let browser = self.browser()?;
        let attached = match target {
            None => browser.attach(side).await,
            Some(target) => browser.attach_to(target, side).await,
        };
        match (target, attached) {
            (_, Ok(client)) => Ok(client),
            (Some(target), Err(BrowserError::Refused { .. })) => {
                Err(ApiError::TargetNotFound(target.to_owned()))
            }
            // Clients hear of a crash before the session's owner does.
            (_, Err(BrowserError::Gone)) if browser.died().await.is_crash() => {
                Err(ApiError::BrowserCrashed)
            }
            (_, Err(error)) => Err(ApiError::BrowserUnreachable(error.to_string())),
        }
    }

    /// What the browser says that it is.
    pub async fn identity(&self) -> Result<Identity, ApiError> {
        let identity = self.browser()?.identity().await;
        identity.map_err(|error| ApiError::BrowserUnreachable(error.to_string()))
    }

    /// What a client may attach to.
    pub async fn targets(&self) -> Result<Vec<Target>, ApiError> {
        let targets = self.browser()?.targets().await;
        targets.map_err(|error| ApiError::BrowserUnreachable(error.to_string()))
    }

    /// For clients of the browser, who are to know that it crashed.
    fn browser(&self) -> Result<Browser, ApiError> {
        match self.ending() {
            Some(Ending {
                reason: DestroyedReason::BrowserCrashed,
                ..
            }) => Err(ApiError::BrowserCrashed),
            _ => Ok(self.live()?.browser.clone()),
        }
    }

    /// Waits until no code runs in it. Cancel safe.
    pub(super) async fn finished(&self) {
        // The session holds the sender.
        let _ = self
            .activity
            .watch()
            .wait_for(|activity| activity.executions == 0)
            .await;
    }

    /// Waits until it has ended, and tells how. Cancel safe.
    pub async fn ended(&self) -> Ending {
        let mut progress = self.progress.subscribe();
        loop {
            if let Some(ending) = progress.borrow_and_update().ending {
                return ending;
            }
            // The session holds the sender.
            let _ = progress.changed().await;
        }
    }

    /// Ends the session, for the given reason if it has not ended yet, and waits until nothing of
    /// it is left (at most 10 s, the clean-up goes on after that).
    pub async fn end(&self, reason: DestroyedReason) -> Ending {
        let ending = self.begin_end(reason);
        let mut progress = self.progress.subscribe();
        if timeout(END_BOUND, progress.wait_for(|progress| progress.cleaned))
            .await
            .is_err()
        {
            tracing::warn!(session = %self.id, "the clean-up of a session takes long");
        }
        ending
    }

    /// From here on the session counts as ended, and its place is free. The first reason stands.
    pub(super) fn begin_end(&self, reason: DestroyedReason) -> Ending {
        self.begin_end_for(reason, None)
    }

    /// The same, because the session went past a limit.
    pub(super) fn begin_end_at(&self, limit: Limit) -> Ending {
        self.begin_end_for(DestroyedReason::Limit, Some(limit))
    }

    fn begin_end_for(&self, reason: DestroyedReason, limit: Option<Limit>) -> Ending {
        let duration_ms = clock::milliseconds(self.created.elapsed());
        let mut ending = Ending {
            reason,
            limit,
            at: clock::now(),
            duration_ms,
        };
        let first = self.progress.send_if_modified(|progress| {
            if let Some(earlier) = progress.ending {
                ending = earlier;
                return false;
            }
            progress.ending = Some(ending);
            true
        });
        if first {
            tracing::debug!(session = %self.id, reason = ending.reason.as_str(), "a session is to end");
            self.services.metrics.session_ended(ending.reason);
            self.place
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
        }
        ending
    }
}
