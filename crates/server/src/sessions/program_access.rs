//! The access of a session's own programs to its browser. Kernels connect before a client gets the
//! session, so this is older than the session's id.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hearth_browser::{Browser, Client, ClientOrigin};
use hearth_budget::Budget;
use uuid::Uuid;

use super::error::SessionError;
use crate::token::Token;

/// The secret of a session's own programs, and the browser behind it.
#[derive(Debug)]
pub(crate) struct ProgramAccess {
    token: Token,
    budget: Budget,
    /// Set when the browser runs.
    browser: Mutex<Option<Browser>>,
    /// The id of the session. Set when a client gets the session.
    session: OnceLock<Uuid>,
}

impl ProgramAccess {
    /// Creates access with a random token. `budget` counts the messages of the programs.
    pub(super) fn new(budget: Budget) -> Result<Arc<ProgramAccess>, getrandom::Error> {
        Ok(Arc::new(ProgramAccess {
            token: Token::new()?,
            budget,
            browser: Mutex::default(),
            session: OnceLock::new(),
        }))
    }

    pub fn token(&self) -> &Token {
        &self.token
    }

    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Grants access to the browser.
    pub(super) fn set_browser(&self, browser: &Browser) {
        *self.browser.lock().unwrap_or_else(PoisonError::into_inner) = Some(browser.clone());
    }

    /// Names the session that a client got.
    pub(super) fn set_session(&self, id: Uuid) {
        let _ = self.session.set(id);
    }

    /// Returns the id of the session, unless no client has it yet.
    pub fn session(&self) -> Option<Uuid> {
        self.session.get().copied()
    }

    /// Attaches a program to the browser of a session that no client has yet.
    pub async fn attach_client(&self) -> Result<Client, SessionError> {
        let browser = self
            .browser
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let browser =
            browser.ok_or_else(|| SessionError::BrowserUnreachable("it is starting".to_owned()))?;
        let attached = browser.attach(ClientOrigin::Internal).await;
        attached.map_err(|error| SessionError::BrowserUnreachable(error.to_string()))
    }
}
