//! The creation of sessions: admission, metrics, and the tasks of a new session.

use std::sync::Arc;

use hearth_contract::{CreateRequest, DestroyedReason};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use uuid::Uuid;

use super::builder::{NewSession, SessionBuilder};
use super::checkpoints::keep_checkpoints;
use super::error::SessionError;
use super::registry::Registry;
use super::resources::SessionResources;
use super::session::{CLEANUP_TIMEOUT, Session};
use super::spans::{record_session, session_span};
use super::supervisor::supervise;
use super::team_quota::{CapacityPermit, QuotaReached};
use crate::metrics::{CreateOutcome, Metrics};
use crate::team::Team;

impl Registry {
    /// Creates a session. If the caller drops the future in the meantime, the session ends at once.
    pub async fn create(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
    ) -> Result<Arc<Session>, SessionError> {
        let mut metrics = CreateMetricsGuard {
            metrics: self.metrics(),
            began: Instant::now(),
            outcome: CreateOutcome::Abandoned,
        };
        let created = self.admit_and_launch(Team::clone(&team), request).await;
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
    ) -> Result<Arc<Session>, SessionError> {
        let capacity_permit = self.admit(&team).await?;
        let (sender, receiver) = oneshot::channel();
        let registry = Arc::clone(self);
        // This runs as a task, because the creation must finish or clean up even if the caller
        // drops the future.
        let launching = async move {
            let launched = registry.launch(team, request, capacity_permit).await;
            match &launched {
                Ok(_) => registry.launch_health.record_success(),
                Err(SessionError::BrowserStart(failure)) => {
                    registry.launch_health.record_failure(failure);
                }
                Err(_) => {}
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
        let until = Instant::now() + CLEANUP_TIMEOUT;
        loop {
            // Before the next attempt, so that no end of a cleanup is missed.
            let cleaned = self.services.cleaned.notified();
            let may_improve = self.is_cleaning_up();
            match self.try_admit(team) {
                Err(shortage) if shortage.is_shortage() && may_improve => {
                    timeout_at(until, cleaned).await.map_err(|_| shortage)?;
                }
                admitted => return admitted,
            }
        }
    }

    fn try_admit(&self, team: &Team) -> Result<CapacityPermit, SessionError> {
        if self.is_stopping() {
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
        self.team_quota
            .acquire(team)
            .map_err(|reached| match reached {
                QuotaReached::Server => SessionError::AtCapacity,
                QuotaReached::Team(max) => SessionError::TeamAtCapacity(max),
            })
    }

    /// Builds a session, registers it and starts its tasks.
    async fn launch(
        &self,
        team: Team,
        request: CreateRequest,
        capacity_permit: CapacityPermit,
    ) -> Result<Arc<Session>, SessionError> {
        let id = Uuid::now_v7();
        let span = session_span(id, &team);
        record_session(id);
        let new = NewSession {
            id,
            team,
            request,
            capacity_permit,
            span: span.clone(),
        };
        let builder = SessionBuilder::new(
            Arc::clone(&self.spec),
            self.uid_pool.clone(),
            self.services.clone(),
        );
        let (session, resources) = builder.build(new).instrument(span).await?;
        let session = Arc::new(session);
        self.insert(&session);
        self.start_tasks(&session, resources);
        tracing::info!("session created");
        if self.is_stopping() {
            session.end(DestroyedReason::ServerStopped).await;
            return Err(SessionError::Stopping);
        }
        Ok(session)
    }

    /// Starts the supervisor of a session and, for a session with a profile, its checkpoints.
    fn start_tasks(&self, session: &Arc<Session>, resources: Arc<SessionResources>) {
        if let Some(every) = self.spec.checkpoint_every {
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
