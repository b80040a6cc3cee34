//! Unlisted sessions. One works for the server itself, such as the session of a scrape, until a
//! client gets it.
//!
//! While it works, it has a place in the session limit. Afterwards it can be *kept* for a while: a
//! kept session has no place, and is the first to end when capacity is needed.

use std::sync::Arc;

use hearth_contract::{CreateRequest, DestroyedReason};

use super::error::SessionError;
use super::recent_load::Busy;
use super::registry::Registry;
use super::session::Session;
use crate::team::Team;

impl Registry {
    /// Creates a session that clients do not see. Otherwise like
    /// [`create`](Registry::create).
    pub async fn create_unlisted(
        self: &Arc<Self>,
        team: Team,
        request: CreateRequest,
    ) -> Result<Arc<Session>, SessionError> {
        self.create_with(team, request, false).await
    }

    /// Marks the server as busy until the guard is dropped, because a client waits for a page.
    /// Delays the preparation of warm sessions, which would slow down the page.
    pub fn begin_page(&self) -> Busy {
        self.services.load.begin()
    }

    /// Shows an unlisted session to its team, and gives it its full lifetime from now on. On
    /// failure the session ends.
    pub async fn list_unlisted(&self, session: &Session) -> Result<(), SessionError> {
        session.restart_lifetime();
        if let Err(error) = self.record_unlisted(session).await {
            session.end(DestroyedReason::Deleted).await;
            return Err(error);
        }
        session.set_listed();
        // Its end was not recorded if it came before the record.
        if session.ending().is_some() {
            let store = &self.services.store;
            store.end_session(&session.stored_record()).await;
            return Err(SessionError::Ended);
        }
        Ok(())
    }

    async fn record_unlisted(&self, session: &Session) -> Result<(), SessionError> {
        let reservation = self.reserve_unlisted(session).await?;
        let record = session.stored_record();
        if let (Some(cluster), Some(reservation)) = (self.cluster(), reservation) {
            let owner = reservation.activate(cluster, &record).await?;
            if !cluster.is_current(&owner) {
                session.mark_ended(DestroyedReason::NodeLost, None);
            }
            return Ok(());
        }
        let recorded = self.services.store.begin_session(&record).await;
        recorded.map_err(|error| SessionError::NotRecorded(error.to_string()))
    }

    /// Keeps an unlisted session whose work is done, and gives its place to others.
    pub fn keep(&self, session: &Arc<Session>) {
        self.kept.lock().push_back(Arc::clone(session));
        session.return_capacity();
    }

    /// Gives a kept session a place again, and shows it to its team. Fails with
    /// [`Ended`](SessionError::Ended) if it is not kept any more.
    pub async fn adopt(&self, session: &Session) -> Result<(), SessionError> {
        if self.is_stopping() {
            return Err(SessionError::Stopping);
        }
        let permit = self.acquire_place(session.team());
        let permit = permit.inspect_err(|error| {
            if let Some(rejection) = error.rejection() {
                let teams = self.metrics().teams();
                teams.request_rejected(session.team(), rejection);
            }
        })?;
        if !self.kept.take(session.id()) || !session.take_capacity(permit) {
            return Err(SessionError::Ended);
        }
        self.list_unlisted(session).await?;
        let _span = session.span.enter();
        tracing::info!("session adopted");
        Ok(())
    }

    /// Ends a kept session, unless a client has got it.
    pub fn end_kept(&self, session: &Session) {
        if self.kept.take(session.id()) {
            session.mark_ended(DestroyedReason::Idle, None);
        }
    }

    /// Ends the kept sessions that take the place of a listed one.
    pub(super) fn make_room(&self) {
        let max = self.max_sessions();
        while self.team_quota.total() + self.kept.count() > max {
            let Some(session) = self.kept.take_first() else {
                return;
            };
            session.mark_ended(DestroyedReason::Idle, None);
        }
    }

    /// Ends all kept sessions.
    pub(super) fn end_all_kept(&self) {
        while let Some(session) = self.kept.take_first() {
            session.mark_ended(DestroyedReason::Idle, None);
        }
    }

    /// Ends all kept sessions if memory is short.
    pub(super) fn end_kept_if_memory_is_low(&self) {
        if self.kept.count() > 0 && self.lacks_memory(0) {
            self.end_all_kept();
        }
    }
}
