//! Who asked what, and whose session is whose. Tables only: nothing here sends anything, and
//! everything here is under the broker's one lock, so that a session that goes away takes its calls
//! in flight along.

mod calls;
mod clients;
mod pages;
mod sessions;
mod targets;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::broker::client::{ClientId, SendQueue};
use crate::broker::file_access::ClientOrigin;
use crate::broker::pending::{ClientCallInFlight, OrphanedCall, Pending, PendingAttach, Root};
use crate::broker::policy::TrackedEffect;

/// A session in the browser that belongs to a client.
#[derive(Debug)]
struct Session {
    client: ClientId,
    /// None for a client's root.
    parent: Option<Arc<str>>,
    target: Arc<str>,
    /// The page that the target is, or is a part of. None above pages.
    page: Option<Arc<str>>,
    /// A browser-level session: its target is not to be had by others.
    is_browser: bool,
    /// Its client has enabled the page's events here, dialogs among them.
    has_page_events: bool,
    /// When its client last did something to the page here: later is larger, and 0 is never.
    last_drive: u64,
}

/// What the browser says of a session that it opens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opened<'a> {
    pub(crate) target: &'a str,
    /// CDP's type of target.
    pub(crate) kind: &'a str,
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub(crate) struct CallRoute {
    pub(crate) on: Arc<str>,
    pub(crate) target: Arc<str>,
    /// The page that the target is, or is a part of.
    pub(crate) page: Option<Arc<str>>,
}

#[derive(Debug)]
struct ClientEntry {
    root: Arc<str>,
    /// The client's receiving half holds it too.
    queue: Arc<SendQueue>,
    origin: ClientOrigin,
    /// Contexts that it made and that go with it.
    contexts: HashSet<String>,
    in_flight: usize,
}

/// Why a call cannot go to the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// The client has left, or is being ended.
    ClientGone,
    /// The session is not there, or another client's.
    NoSession,
    /// The session's target has crashed and would not answer.
    Crashed,
    /// The client waits for too many replies already.
    TooMany,
}

/// What is left to do in the browser when a client has gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientResources {
    pub(crate) root: Arc<str>,
    pub(crate) contexts: Vec<String>,
}

/// Where an event goes.
#[derive(Debug)]
pub(crate) struct EventRoute {
    pub(crate) client: ClientId,
    pub(crate) queue: Arc<SendQueue>,
    pub(crate) is_root: bool,
    /// The session, and the page that it is on.
    pub(crate) session: Arc<str>,
    pub(crate) page: Option<Arc<str>>,
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// Chromium takes ids in 0..2^31.
    last_id: i32,
    last_client: u64,
    /// Counts what is done to pages, to tell what came later.
    drives: u64,
    pendings: HashMap<i32, Pending>,
    sessions: HashMap<Arc<str>, Session>,
    clients: HashMap<ClientId, ClientEntry>,
    /// Browser-level sessions that the browser has announced and whose reply is still to come, with
    /// their targets.
    announced: HashMap<String, Arc<str>>,
    /// The targets of browser-level sessions, whoever has them.
    browser_targets: HashSet<String>,
    /// Targets whose renderer has crashed and was not replaced yet.
    crashed: HashSet<String>,
}
