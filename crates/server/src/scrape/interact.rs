//! Interactions with the page of a scrape.
//!
//! The first one opens a session: it adopts the session of the scrape if that is still kept, and
//! otherwise repeats the scrape's steps in a new one (`replay`). Later ones use the same session.

use std::sync::Arc;
use std::time::Duration;

use hearth_contract::{
    DestroyedReason, ExecuteRequest, InteractTask, ScrapeContext, ScrapeInteractRequest,
};
use hearth_runner::LiveOutput;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::contexts::KnownScrape;
use super::interact_error::InteractError;
use super::openings::Opened;
use super::replay;
use super::scrapes::Scrapes;
use crate::sessions::{Executed, Session, SessionEntry, SessionError, record_session};
use crate::store::StoreError;
use crate::team::Team;

/// The time limit for opening the page, for a request without a timeout.
const OPENING_TIMEOUT: Duration = Duration::from_mins(2);

/// The end of an interaction.
#[derive(Debug)]
pub(crate) struct Interaction {
    pub session: Arc<Session>,
    pub executed: Executed,
}

/// A request for the session of a scrape.
#[derive(Debug)]
struct Wanted {
    job_id: Uuid,
    team: Team,
    /// A session to use instead of opening the page.
    existing: Option<Arc<Session>>,
    /// The page to open if the scrape has no context.
    url: Option<String>,
    zero_data_retention: bool,
}

impl Scrapes {
    /// Runs code in the session of a scrape, and opens it first if there is none. An error means
    /// that the code has not started. If the caller drops the future, the code is killed, but an
    /// opening goes on. `live` gets the output while the code runs.
    pub async fn interact(
        self: &Arc<Self>,
        team: &Team,
        job_id: Uuid,
        request: ScrapeInteractRequest,
        live: Option<LiveOutput>,
    ) -> Result<Interaction, InteractError> {
        let received = Instant::now();
        let existing = request.existing_session_id.as_deref();
        let wanted = Wanted {
            job_id,
            team: Team::clone(team),
            existing: existing.and_then(|id| self.active_session(id, team)),
            url: request.url,
            zero_data_retention: request.zero_data_retention,
        };
        let known = self.contexts.find(job_id).await.map_err(unreadable)?;
        let bound = self.check(&wanted, known.as_ref())?;
        let InteractTask::Code(execute) = request.task else {
            return Err(InteractError::NoModel);
        };
        let open_by = received + request.timeout.unwrap_or(OPENING_TIMEOUT);
        let zero_data_retention = wanted.zero_data_retention;
        let session = match bound {
            Some(session) => session,
            None => self.open_by(open_by, wanted).await?,
        };
        record_session(session.id());
        if zero_data_retention && !session.has_zero_data_retention() {
            return Err(InteractError::Retaining);
        }
        let deadline = match request.timeout {
            Some(timeout) => received + timeout,
            None => Instant::now() + ExecuteRequest::DEFAULT_TIMEOUT,
        };
        let executed = session.execute(execute, deadline, live).await?;
        Ok(Interaction { session, executed })
    }

    /// Returns the id of the session that [`interact`](Scrapes::interact) has opened for a scrape,
    /// active or ended. Stops an opening in progress first.
    pub async fn session_to_stop(&self, team: &Team, job_id: Uuid) -> Result<Uuid, InteractError> {
        if let Some(mut opening) = self.openings.find(job_id, team) {
            opening.stop().await;
        }
        let known = self.contexts.find(job_id).await.map_err(unreadable)?;
        let Some((owner, id)) = known.and_then(|known| Some((known.team, known.session?))) else {
            return Err(InteractError::NoSession);
        };
        if owner != *team {
            return Err(InteractError::Forbidden);
        }
        Ok(id)
    }

    /// Returns the id of the session that a scrape has, active or ended.
    pub async fn bound(&self, job_id: Uuid) -> Result<Option<Uuid>, InteractError> {
        let known = self.contexts.find(job_id).await.map_err(unreadable)?;
        Ok(known.and_then(|known| known.session))
    }

    /// Checks that the scrape can have a session. Returns the one that it has.
    fn check(
        &self,
        wanted: &Wanted,
        known: Option<&KnownScrape>,
    ) -> Result<Option<Arc<Session>>, InteractError> {
        let Some(known) = known else {
            return match wanted.url {
                Some(_) => Ok(None),
                None => Err(InteractError::NotFound),
            };
        };
        if known.team != wanted.team {
            return Err(InteractError::Forbidden);
        }
        if let Some(id) = known.session {
            return self.bound_session(id).map(Some);
        }
        let has_page = known.context.is_some() || wanted.url.is_some();
        if has_page || wanted.existing.is_some() || self.kept.has(wanted.job_id) {
            return Ok(None);
        }
        Err(InteractError::NoContext)
    }

    /// Returns the session of a scrape, which must be active.
    fn bound_session(&self, id: Uuid) -> Result<Arc<Session>, InteractError> {
        match self.registry.find(id) {
            Some(SessionEntry::Current(session)) if session.ending().is_none() => Ok(session),
            _ => Err(SessionError::Ended.into()),
        }
    }

    /// Returns the active session of a team with this id, if there is one.
    fn active_session(&self, id: &str, team: &Team) -> Option<Arc<Session>> {
        match self.registry.find(Uuid::parse_str(id).ok()?)? {
            SessionEntry::Current(session) => Some(session),
            SessionEntry::Recorded(_) => None,
        }
        .filter(|session| {
            session.ending().is_none() && session.is_listed() && session.team() == team
        })
    }

    /// Opens the session of a scrape, or joins an opening in progress.
    async fn open_by(self: &Arc<Self>, deadline: Instant, wanted: Wanted) -> Opened {
        let (scrapes, tracker) = (Arc::clone(self), self.registry.tracker());
        let (job_id, team) = (wanted.job_id, Team::clone(&wanted.team));
        let open = |stop| async move { scrapes.open(wanted, stop).await };
        let mut opening = self.openings.join_or_start(tracker, job_id, &team, open)?;
        let opened = timeout_at(deadline, opening.opened()).await;
        opened.unwrap_or(Err(InteractError::TooSlow))
    }

    /// Opens the session of a scrape, and binds it to the scrape.
    async fn open(&self, wanted: Wanted, stop: CancellationToken) -> Opened {
        // Another opening may have ended after the request was checked.
        let known = self
            .contexts
            .find(wanted.job_id)
            .await
            .map_err(unreadable)?;
        if let Some(session) = self.check(&wanted, known.as_ref())? {
            return Ok(session);
        }
        if let Some(session) = &wanted.existing {
            self.bind(&wanted, session).await?;
            self.kept.end(wanted.job_id);
            return Ok(Arc::clone(session));
        }
        let is_fit =
            |session: &Session| !wanted.zero_data_retention || session.has_zero_data_retention();
        if let Some(session) = self.kept.adopt(wanted.job_id, is_fit).await? {
            self.bind_or_end(&wanted, &session).await?;
            return Ok(session);
        }
        let stored = known.and_then(|known| known.context);
        let context = stored.or_else(|| wanted.url.clone().map(replay::page_context));
        // The kept session may have ended after the request was checked.
        let context = context.ok_or(InteractError::NoContext)?;
        self.replay(&wanted, context, stop).await
    }

    /// Repeats a scrape in a new session. Clients see the session once it is ready.
    async fn replay(
        &self,
        wanted: &Wanted,
        context: ScrapeContext,
        stop: CancellationToken,
    ) -> Opened {
        let _busy = self.registry.begin_page();
        let request = replay::session_request(&context, wanted.zero_data_retention);
        let creating = self
            .registry
            .create_unlisted(Team::clone(&wanted.team), request);
        let session = tokio::select! {
            created = creating => created?,
            // The scrape gets no session.
            () = stop.cancelled() => return Err(SessionError::Ended.into()),
        };
        let replaying = replay::replay(&session, &context);
        let replayed = tokio::select! {
            replayed = replaying => Some(replayed),
            () = stop.cancelled() => None,
        };
        match replayed {
            Some(Ok(())) => {
                self.registry.list_unlisted(&session).await?;
                self.bind_or_end(wanted, &session).await?;
                Ok(session)
            }
            Some(Err(error)) => {
                session.end(DestroyedReason::Deleted).await;
                if self.registry.is_stopping() {
                    return Err(SessionError::Stopping.into());
                }
                Err(InteractError::ReplayFailed(error.to_string()))
            }
            None => {
                self.registry.list_unlisted(&session).await?;
                session.end(DestroyedReason::Deleted).await;
                self.bind(wanted, &session).await?;
                Err(SessionError::Ended.into())
            }
        }
    }

    async fn bind_or_end(&self, wanted: &Wanted, session: &Session) -> Result<(), InteractError> {
        let bound = self.bind(wanted, session).await;
        if bound.is_err() {
            // No request would find it.
            session.end(DestroyedReason::Deleted).await;
        }
        bound
    }

    async fn bind(&self, wanted: &Wanted, session: &Session) -> Result<(), InteractError> {
        let binding = self
            .contexts
            .bind(wanted.job_id, &wanted.team, session.id());
        binding.await.map_err(unreadable)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it converts the errors of `map_err`"
)]
fn unreadable(error: StoreError) -> InteractError {
    InteractError::Store(error.to_string())
}
