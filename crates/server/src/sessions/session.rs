//! One session: its state, which the server keeps after the session's end, and its resources until
//! then. The files `execute` and `attach` add the work that a session does for clients.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_contract::{
    DestroyedReason, FieldWarning, Language, Limit, ProfileWarning, SessionStatus,
};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::Span;
use uuid::Uuid;

use super::activity::Activity;
use super::error::SessionError;
use super::execution::recent_executions::RecentExecutions;
use super::info::SessionInfo;
use super::progress::Progress;
use super::resources::SessionResources;
use super::services::Services;
use super::team_quota::CapacityPermit;
use super::tokens::LiveViewTokens;
use crate::clock;
use crate::ending::Ending;
use crate::live_view::ViewerAccess;
use crate::store::{ExecutionRecord, SessionRecord};
use crate::team::Team;
use crate::token::Token;

/// The maximum time that a caller waits for a step of a session's end, which continues afterwards.
pub(super) const CLEANUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A session, active or ended.
#[derive(Debug)]
pub(crate) struct Session {
    info: SessionInfo,
    pub(super) span: Span,
    pub(super) activity: Activity,
    /// Watched by the supervisor, which does the cleanup, and by callers that wait for the end.
    pub(super) progress: watch::Sender<Progress>,
    /// True if the session's team can see it. It then stays true.
    is_listed: AtomicBool,
    /// Milliseconds between the creation and the start of the lifetime.
    lifetime_start_ms: AtomicU64,
    /// Returned as soon as the session ends or is kept.
    capacity_permit: Mutex<Option<CapacityPermit>>,
    /// Taken by the supervisor at the end.
    resources: Mutex<Option<Arc<SessionResources>>>,
    pub(super) services: Services,
    pub(super) recent: RecentExecutions,
    /// Memory of the session's processes at the last sample.
    memory_bytes: AtomicU64,
    /// True if the end of the session saves its profile.
    saves_profile: bool,
    /// A problem with the profile at creation, for the creator.
    warning: Option<ProfileWarning>,
    /// The options of the request that have less effect than asked for.
    field_warnings: Vec<FieldWarning>,
}

/// The parts of a new session.
pub(super) struct SessionParts {
    pub info: SessionInfo,
    pub span: Span,
    pub is_listed: bool,
    pub capacity_permit: CapacityPermit,
    pub resources: Arc<SessionResources>,
    pub services: Services,
    pub warning: Option<ProfileWarning>,
    pub field_warnings: Vec<FieldWarning>,
}

impl Session {
    pub(super) fn new(parts: SessionParts) -> Session {
        Session {
            activity: Activity::new(parts.info.created_at),
            info: parts.info,
            span: parts.span,
            progress: watch::Sender::new(Progress::default()),
            is_listed: AtomicBool::new(parts.is_listed),
            lifetime_start_ms: AtomicU64::new(0),
            capacity_permit: Mutex::new(Some(parts.capacity_permit)),
            saves_profile: parts.resources.saves_profile(),
            resources: Mutex::new(Some(parts.resources)),
            services: parts.services,
            recent: RecentExecutions::default(),
            memory_bytes: AtomicU64::new(0),
            warning: parts.warning,
            field_warnings: parts.field_warnings,
        }
    }

    pub fn id(&self) -> Uuid {
        self.info.id
    }

    pub fn team(&self) -> &Team {
        &self.info.team
    }

    /// Returns the token in `cdpUrl`.
    pub fn token(&self) -> &Token {
        &self.info.tokens.public
    }

    /// Returns the tokens of the live view's links, unless the session has no live view.
    pub fn live_view_tokens(&self) -> Option<&LiveViewTokens> {
        self.info.tokens.live_view.as_ref()
    }

    /// Returns the access that a live view token grants.
    pub fn live_view_access(&self, presented: &str) -> Option<ViewerAccess> {
        let tokens = self.live_view_tokens()?;
        // Both are compared, so that the response time does not reveal which one matched.
        match (
            tokens.control.matches(presented),
            tokens.watch.matches(presented),
        ) {
            (true, _) => Some(ViewerAccess::Control),
            (false, true) => Some(ViewerAccess::Watch),
            (false, false) => None,
        }
    }

    /// Returns true if the session's team can see it.
    pub fn is_listed(&self) -> bool {
        self.is_listed.load(Ordering::SeqCst)
    }

    pub(super) fn set_listed(&self) {
        self.is_listed.store(true, Ordering::SeqCst);
    }

    /// Starts the lifetime of an unlisted session again.
    pub(super) fn restart_lifetime(&self) {
        let passed = clock::milliseconds(self.info.created.elapsed());
        self.lifetime_start_ms.store(passed, Ordering::SeqCst);
        self.activity.touch();
    }

    fn lifetime_start(&self) -> Duration {
        Duration::from_millis(self.lifetime_start_ms.load(Ordering::SeqCst))
    }

    /// Returns the start of the lifetime plus `ttl`. Activity does not change it.
    pub fn expires_at(&self) -> Timestamp {
        let waited = SignedDuration::try_from(self.lifetime_start());
        let expires_at = self.info.expires_at();
        expires_at
            .checked_add(waited.unwrap_or(SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX)
    }

    /// Returns the monotonic form of [`expires_at`](Session::expires_at).
    pub(super) fn expires(&self) -> Instant {
        self.info.created + self.lifetime_start() + self.info.ttl
    }

    pub(super) fn activity_ttl(&self) -> Duration {
        self.info.activity_ttl
    }

    /// Returns the name of the session's profile.
    pub fn profile(&self) -> Option<&str> {
        self.info.profile.as_deref()
    }

    /// Returns true if the end of the session saves its profile.
    pub(super) fn saves_profile(&self) -> bool {
        self.saves_profile
    }

    /// Returns the problems that did not prevent the creation, for the creator.
    pub fn warning(&self) -> Option<String> {
        let profile = self.warning.iter().map(ProfileWarning::sentence);
        let fields = self.field_warnings.iter();
        let fields = fields.map(|warning| warning.sentence().to_owned());
        let sentences: Vec<String> = profile.chain(fields).collect();
        (!sentences.is_empty()).then(|| sentences.join(" "))
    }

    /// Returns true if nothing of what the session does may be kept.
    pub fn has_zero_data_retention(&self) -> bool {
        self.info.zero_data_retention
    }

    /// Returns a problem with saving the profile at the session's end.
    pub fn end_warning(&self) -> Option<ProfileWarning> {
        self.progress.borrow().warning.clone()
    }

    /// Returns the latest executions, newest first.
    pub fn latest_executions(&self) -> Vec<ExecutionRecord> {
        self.recent.latest()
    }

    /// Returns the languages in which code runs now.
    pub fn running(&self) -> Vec<Language> {
        self.activity.watch().borrow().languages().collect()
    }

    /// Returns the memory of the session's processes at the last sample, or 0 before the first.
    /// Each process counts the memory that it shares.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn record_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Returns the record that outlives the session.
    pub fn record(&self) -> SessionRecord {
        let record = self
            .info
            .record(self.activity.last_activity(), self.ending());
        SessionRecord {
            expires_at: self.expires_at(),
            ..record
        }
    }

    /// Returns the record for the store.
    pub(super) fn stored_record(&self) -> SessionRecord {
        let last_activity = self.activity.last_activity();
        let record = self.info.stored_record(last_activity, self.ending());
        SessionRecord {
            expires_at: self.expires_at(),
            ..record
        }
    }

    /// Returns how the session ended, or `None` while it is active.
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

    /// Returns true once every process and file of the session is gone.
    pub(super) fn is_cleaned(&self) -> bool {
        self.progress.borrow().cleaned
    }

    /// Returns the session's resources, unless it has ended.
    pub(super) fn resources(&self) -> Result<Arc<SessionResources>, SessionError> {
        if self.ending().is_some() {
            return Err(SessionError::Ended);
        }
        let resources = self
            .resources
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        resources.clone().ok_or(SessionError::Ended)
    }

    /// Drops the session's own reference to its resources.
    pub(super) fn release_resources(&self) {
        self.resources
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Waits until no code runs in the session. Cancel safe.
    pub(super) async fn executions_finished(&self) {
        // Cannot fail, because the session holds the sender.
        let _ = self
            .activity
            .watch()
            .wait_for(|activity| activity.executions == 0)
            .await;
    }

    /// Waits until the session has ended, and returns how. Cancel safe.
    pub async fn ended(&self) -> Ending {
        let mut progress = self.progress.subscribe();
        loop {
            if let Some(ending) = progress.borrow_and_update().ending {
                return ending;
            }
            // Cannot fail, because the session holds the sender.
            let _ = progress.changed().await;
        }
    }

    /// Ends the session with `reason`, unless it has already ended. Waits at most 10 s: until the
    /// end is recorded or, if the session saves its profile, until nothing of it remains.
    pub async fn end(&self, reason: DestroyedReason) -> Ending {
        let ending = self.mark_ended(reason, None);
        if self.saves_profile {
            self.cleaned().await;
        } else {
            self.reached(|progress| progress.recorded).await;
        }
        ending
    }

    /// Waits at most 10 s until nothing of the session remains, which must have ended. Cancel safe.
    pub(super) async fn cleaned(&self) {
        self.reached(|progress| progress.cleaned).await;
    }

    async fn reached(&self, is_reached: impl FnMut(&Progress) -> bool) {
        let mut progress = self.progress.subscribe();
        // If the time has passed, the supervisor logs it.
        let _ = timeout(CLEANUP_TIMEOUT, progress.wait_for(is_reached)).await;
    }

    /// Marks the session as ended because it exceeded `limit`.
    pub(super) fn mark_ended_by(&self, limit: Limit) {
        self.mark_ended(DestroyedReason::Limit, Some(limit));
    }

    /// Marks the session as ended and returns its capacity. The supervisor does the cleanup. If the
    /// session has already ended, the first reason stays.
    pub(super) fn mark_ended(&self, reason: DestroyedReason, limit: Option<Limit>) -> Ending {
        let mut ending = Ending {
            reason,
            limit,
            at: clock::now(),
            duration_ms: clock::milliseconds(self.info.created.elapsed()),
        };
        let is_first = self.progress.send_if_modified(|progress| {
            if let Some(earlier) = progress.ending {
                ending = earlier;
                return false;
            }
            progress.ending = Some(ending);
            true
        });
        if is_first {
            let _span = self.span.enter();
            tracing::debug!(reason = ending.reason.as_str(), "session end requested");
            self.services.metrics.session_ended(ending.reason);
            self.return_capacity();
        }
        ending
    }

    /// Gives the session's place in the session limit to others.
    pub(super) fn return_capacity(&self) {
        self.lock_permit().take();
    }

    /// Gives the session a place. Returns false if it has ended.
    pub(super) fn take_capacity(&self, permit: CapacityPermit) -> bool {
        let mut own = self.lock_permit();
        // The end of a session takes the permit after it is visible here.
        if self.ending().is_some() {
            return false;
        }
        *own = Some(permit);
        true
    }

    fn lock_permit(&self) -> MutexGuard<'_, Option<CapacityPermit>> {
        self.capacity_permit
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
