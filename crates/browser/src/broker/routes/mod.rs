//! The tables of calls, sessions and clients.
//!
//! The tables send nothing. The broker's lock protects all of them, so dropping a session also
//! drops its pending calls.

mod calls;
mod clients;
mod loads;
mod pages;
mod sessions;
mod settings;
mod targets;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::broker::file_access::ClientOrigin;
use crate::broker::main_load::MainLoad;
use crate::broker::page_settings::PageSettings;
use crate::broker::pending::Pending;
use crate::broker::send_queue::{ClientId, SendQueue};

/// A session in the browser that belongs to a client.
#[derive(Debug)]
struct Session {
    client: ClientId,
    /// `None` for a client's root.
    parent: Option<Arc<str>>,
    target: Arc<str>,
    /// The page that the target is or belongs to. `None` for targets above pages.
    page: Option<Arc<str>>,
    /// True for a browser-level session. Other clients cannot attach to its target.
    is_browser: bool,
    /// True if the client has enabled the page's events, which include dialogs.
    has_page_events: bool,
    /// The order of the client's last drive of the page on this session: larger is later, 0 is
    /// never.
    last_drive: u64,
    /// The load of the main frame, if the target is a page.
    load: MainLoad,
    /// The settings of the target that the client has set on this session.
    settings: PageSettings,
}

/// The browser's description of a session that it opens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opened<'a> {
    pub(crate) target: &'a str,
    /// CDP's target type.
    pub(crate) kind: &'a str,
}

/// The route of a call.
#[derive(Clone, Debug)]
pub(crate) struct CallRoute {
    pub(crate) on: Arc<str>,
    pub(crate) target: Arc<str>,
    /// The page that the target is or belongs to.
    pub(crate) page: Option<Arc<str>>,
}

#[derive(Debug)]
struct ClientEntry {
    root: Arc<str>,
    /// Shared with the client's receiving half.
    queue: Arc<SendQueue>,
    origin: ClientOrigin,
    /// The contexts that the client created and that are disposed of when it leaves.
    contexts: HashSet<String>,
    in_flight: usize,
}

/// The reason why a call cannot be sent to the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// The client has left or is being ended.
    ClientGone,
    /// The session does not exist or belongs to another client.
    NoSession,
    /// The session's target has crashed and would not reply.
    Crashed,
    /// The client has too many pending calls.
    TooMany,
}

/// The resources of a removed client that still exist in the browser.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ClientResources {
    pub(crate) root: Arc<str>,
    pub(crate) contexts: Vec<String>,
}

/// The route of an event.
#[derive(Debug)]
pub(crate) struct EventRoute {
    pub(crate) client: ClientId,
    pub(crate) queue: Arc<SendQueue>,
    pub(crate) is_root: bool,
    /// The session of the event.
    pub(crate) session: Arc<str>,
    pub(crate) page: Option<Arc<str>>,
}

/// The tables.
#[derive(Default)]
pub(crate) struct Routes {
    /// Chromium accepts ids in 0..2^31.
    last_id: i32,
    last_client: u64,
    /// Counts the drives of all pages, to order them.
    drives: u64,
    /// Counts the changes of settings of all pages, to order them.
    setting_changes: u64,
    pendings: HashMap<i32, Pending>,
    sessions: HashMap<Arc<str>, Session>,
    clients: HashMap<ClientId, ClientEntry>,
    /// The targets of browser-level sessions that were announced and whose reply is pending.
    announced: HashMap<String, Arc<str>>,
    /// The targets of all browser-level sessions.
    browser_targets: HashSet<String>,
    /// Targets whose renderer has crashed and was not replaced yet.
    crashed: HashSet<String>,
}
