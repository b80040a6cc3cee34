//! The creation of sessions: admission, metrics, and the tasks of a new session.

use std::sync::Arc;

use hearth_contract::{CreateRequest, DestroyedReason};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::builder::{BrowserStart, Kernels, PreparedSession, SessionBuilder};
use super::checkpoints::keep_checkpoints;
use super::error::SessionError;
use super::info::SessionInfo;
use super::node::reservations::Reservation;
use super::registry::Registry;
use super::resources::SessionResources;
use super::session::{CLEANUP_TIMEOUT, Session, SessionParts};
use super::session_options::{locale_for, replaces_browser};
use super::spans::{name_session, record_session, session_span};
use super::supervisor::supervise;
use super::team_quota::{CapacityPermit, QuotaReached};
use super::tokens::Tokens;
use crate::cluster::Life;
use crate::metrics::{CreateOutcome, Metrics};
use crate::team::Team;

/// A request for a session, and the capacity reserved for it.
struct NewSession {
    id: Uuid,
    team: Team,
    request: CreateRequest,
    is_listed: bool,
    capacity_permit: CapacityPermit,
    /// The place of a listed session in the store of a cluster.
    reservation: Option<Reservation>,
}

impl Registry {
    /// Creates a session. If the caller drops the future in the meantime, the session ends at once.
    pub async fn create(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
    ) -> Result<Arc<Session>, SessionError> {
        self.create_with(team, request, true).await
    }

    pub(super) async fn create_with(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
        is_listed: bool,
    ) -> Result<Arc<Session>, SessionError> {
        let mut metrics = CreateMetricsGuard {
            metrics: self.metrics(),
            began: Instant::now(),
            outcome: CreateOutcome::Abandoned,
        };
        let created = self
            .admit_and_launch(Team::clone(&team), request, is_listed)
            .await;
        if let Some(rejection) = created.as_ref().err().and_then(SessionError::rejection) {
            self.metrics().teams().request_rejected(&team, rejection);
        }
        metrics.outcome = match &created {
            Ok(_) => CreateOutcome::Created,
            Err(error) if error.is_rejection() => CreateOutcome::Rejected,
            Err(_) => CreateOutcome::Failed,
        };
        created
    }

    async fn admit_and_launch(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
        is_listed: bool,
    ) -> Result<Arc<Session>, SessionError> {
        let capacity_permit = self.admit(&team).await?;
        self.make_room();
        let (sender, receiver) = oneshot::channel();
        let registry = Arc::clone(self);
        // This runs as a task, because the creation must finish or clean up even if the caller
        // drops the future.
        let launching = async move {
            let _busy = registry.services.load.begin();
            let launched = registry
                .launch(team, request, is_listed, capacity_permit)
                .await;
            if let Err(SessionError::BrowserStart(failure)) = &launched {
                registry.launch_health.record_failure(failure);
            }
            if let Err(Ok(unwanted)) = sender.send(launched) {
                unwanted.end(DestroyedReason::Deleted).await;
            }
        };
        self.tracker().spawn(launching.in_current_span());
        receiver.await.unwrap_or_else(|_| {
            Err(SessionError::Internal(
                "the creation of a session was lost".to_owned(),
            ))
        })
    }

    /// Checks that the server has room for another session, and reserves its capacity. If memory or
    /// disk space is short, waits for ended sessions that still have some (at most 10 s).
    async fn admit(&self, team: &Team) -> Result<CapacityPermit, SessionError> {
        match self.try_admit(team) {
            Err(shortage) if shortage.is_shortage() => {}
            admitted => return admitted,
        }
        // Kept sessions are the first to go, and then warm ones.
        self.end_all_kept();
        let until = Instant::now() + CLEANUP_TIMEOUT;
        let mut has_warm_sessions = true;
        loop {
            // Before the next attempt, so that no end of a cleanup is missed.
            let cleaned = self.services.cleaned.notified();
            let may_improve = self.is_cleaning_up();
            match self.try_admit(team) {
                Err(shortage) if shortage.is_shortage() && may_improve => {
                    timeout_at(until, cleaned).await.map_err(|_| shortage)?;
                }
                Err(shortage) if shortage.is_shortage() && has_warm_sessions => {
                    self.discard_warm_sessions().await;
                    has_warm_sessions = false;
                }
                admitted => return admitted,
            }
        }
    }

    fn try_admit(&self, team: &Team) -> Result<CapacityPermit, SessionError> {
        if self.is_stopping() || self.is_draining() {
            return Err(SessionError::Stopping);
        }
        if let Some(disk) = self.full_disk() {
            return Err(SessionError::DiskFull {
                free_mb: disk.free_mb(),
                min_mb: self.limits().min_free_disk_mb,
            });
        }
        if let Some(available_mb) = self.low_memory_mb() {
            return Err(SessionError::MemoryLow {
                available_mb,
                min_mb: self.limits().min_free_memory_mb,
            });
        }
        if let Some((what, reason)) = self.readings.failing().pop() {
            return Err(SessionError::Unmeasured { what, reason });
        }
        self.acquire_place(team)
    }

    /// Returns a place in the session limit.
    pub(super) fn acquire_place(&self, team: &Team) -> Result<CapacityPermit, SessionError> {
        self.team_quota
            .acquire(team)
            .map_err(|reached| match reached {
                QuotaReached::Server => SessionError::AtCapacity,
                QuotaReached::Team(max) => SessionError::TeamAtCapacity(max),
            })
    }

    /// Takes a warm session, or builds one. Registers it and starts its tasks.
    async fn launch(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
        is_listed: bool,
        capacity_permit: CapacityPermit,
    ) -> Result<Arc<Session>, SessionError> {
        let new_id = self.new_id()?;
        let id = new_id.id;
        record_session(id);
        // Unlisted sessions get theirs when a client gets them.
        let mut reservation = if is_listed {
            self.reserve(&new_id, &team, &request).await?
        } else {
            None
        };
        // Until the session is registered, its id protects the lease on its profile.
        let _unlisted = new_id.owner.clone().filter(|_| !is_listed).map(|owner| {
            let reservations = &self.services.reservations;
            reservations.begin_unlisted(id, owner)
        });
        let acquired = reservation.as_mut().and_then(Reservation::take_lease);
        let start = BrowserStart {
            profile: self
                .lease_profile(&new_id, &team, &request, acquired)
                .await?,
            locale: locale_for(&request),
        };
        let replaces_browser = replaces_browser(&start);
        let warm = self.claim_warm_session(replaces_browser).await;
        let span = match &warm {
            Some(warm) => warm.span.clone(),
            None => session_span(),
        };
        name_session(&span, id, &team);
        let prepared = match (warm, replaces_browser) {
            (Some(warm), None) => warm,
            (Some(warm), Some(_)) => self.change_browser(warm, start).await?,
            (None, _) => self.build_cold(start, span.clone()).await?,
        };
        let new = NewSession {
            id,
            team,
            request,
            is_listed,
            capacity_permit,
            reservation,
        };
        let dir = prepared.resources.sandbox.dir.name().to_owned();
        let session = Box::pin(self.hand_over(prepared, new))
            .instrument(span)
            .await?;
        tracing::info!(dir, "session created");
        self.count_created();
        if self.is_stopping() {
            session.end(DestroyedReason::ServerStopped).await;
            return Err(SessionError::Stopping);
        }
        Ok(session)
    }

    /// Builds a session for a client that waits, when it is its turn.
    async fn build_cold(
        &self,
        start: BrowserStart,
        span: Span,
    ) -> Result<PreparedSession, SessionError> {
        // The semaphore is never closed.
        let _turn = self.launches.acquire().await;
        if self.is_stopping() {
            return Err(SessionError::Stopping);
        }
        let kernels = Kernels::Loaded(self.warm_pool.first_language());
        let built = self.new_builder().build(start, kernels, span).await;
        if built.is_ok() {
            self.launch_health.record_success();
        }
        built
    }

    /// Gives a warm session a browser that starts with the files of a profile, or in another place.
    async fn change_browser(
        &self,
        warm: PreparedSession,
        start: BrowserStart,
    ) -> Result<PreparedSession, SessionError> {
        let (spec, uid_pool) = (Arc::clone(&self.spec), self.uid_pool.clone());
        let rebuilt = SessionBuilder::rebuild(spec, uid_pool, warm, start).await;
        if rebuilt.is_ok() {
            self.launch_health.record_success();
        }
        rebuilt
    }

    pub(super) fn new_builder(&self) -> SessionBuilder {
        SessionBuilder::new(Arc::clone(&self.spec), self.uid_pool.clone())
    }

    /// Gives a session to a client: records it, registers it and starts its tasks. On failure,
    /// nothing of the session remains.
    async fn hand_over(
        &self,
        prepared: PreparedSession,
        mut new: NewSession,
    ) -> Result<Arc<Session>, SessionError> {
        let PreparedSession {
            resources,
            span,
            warning,
        } = prepared;
        let profile = new.request.profile.as_ref();
        if let Some(warning) = &warning {
            tracing::warn!(
                profile = profile.map(|profile| profile.name.as_str()),
                warning = warning.sentence(),
                "profile data lost"
            );
        }
        let (info, owner) = match self.record(&mut new).await {
            Ok(recorded) => recorded,
            Err(error) => {
                self.discard(&resources).await;
                return Err(error);
            }
        };
        resources.name(new.id);
        resources.set_rules(self.spec.rules_of(&new.request));
        let session = Arc::new(Session::new(SessionParts {
            info,
            span,
            is_listed: new.is_listed,
            capacity_permit: new.capacity_permit,
            resources: Arc::clone(&resources),
            services: self.services.clone(),
            warning,
            field_warnings: self.spec.field_warnings(&new.request),
        }));
        self.insert(&session);
        if let (Some(cluster), Some(owner)) = (self.cluster(), owner)
            && !cluster.is_current(&owner)
        {
            // The lease was lost before the session could be found and ended.
            session.mark_ended(DestroyedReason::NodeLost, None);
        }
        resources.access.set_session(session.id());
        self.start_tasks(&session, resources);
        Ok(session)
    }

    /// Records a new session in the store if it is listed, and returns its properties, and its
    /// owner in a cluster.
    async fn record(
        &self,
        new: &mut NewSession,
    ) -> Result<(SessionInfo, Option<Life>), SessionError> {
        let tokens = self.tokens(new.id, new.request.stream_web_view)?;
        let mut info = SessionInfo::new(new.id, Team::clone(&new.team), &new.request, tokens);
        if let Some(mode) = self.test_mode() {
            info.ttl = mode.shortened(info.ttl);
            info.activity_ttl = mode.shortened(info.activity_ttl);
        }
        if !new.is_listed {
            return Ok((info, None));
        }
        let record = info.stored_record(info.created_at, None);
        if let (Some(cluster), Some(reservation)) = (self.cluster(), new.reservation.take()) {
            let owner = reservation.activate(cluster, &record).await?;
            return Ok((info, Some(owner)));
        }
        let recorded = self.services.store.begin_session(&record).await;
        recorded.map_err(|error| SessionError::NotRecorded(error.to_string()))?;
        Ok((info, None))
    }

    /// Returns the tokens of a new session.
    fn tokens(&self, id: Uuid, with_live_view: bool) -> Result<Tokens, SessionError> {
        if let Some(cluster) = self.cluster() {
            let derived = cluster.token_keys().derive(id);
            return Ok(Tokens::derived(derived, with_live_view));
        }
        Tokens::new(with_live_view)
            .map_err(|error| SessionError::Internal(format!("cannot get random numbers: {error}")))
    }

    /// Starts the supervisor of a session and, for a session with a profile, its checkpoints.
    fn start_tasks(&self, session: &Arc<Session>, resources: Arc<SessionResources>) {
        if let Some(every) = self.spec.config.profiles.checkpoint_every() {
            let keeping = keep_checkpoints(Arc::clone(session), Arc::clone(&resources), every);
            self.tracker()
                .spawn(keeping.instrument(session.span.clone()));
        }
        let supervising = supervise(Arc::clone(session), resources);
        self.tracker()
            .spawn(supervising.instrument(session.span.clone()));
    }
}

/// Records the metrics of a creation when it is dropped, even if the caller drops the future.
struct CreateMetricsGuard<'a> {
    metrics: &'a Metrics,
    began: Instant,
    outcome: CreateOutcome,
}

impl Drop for CreateMetricsGuard<'_> {
    fn drop(&mut self) {
        self.metrics
            .session_created(self.outcome, self.began.elapsed());
    }
}
