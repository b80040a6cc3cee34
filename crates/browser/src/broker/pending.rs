//! Who waits for what: the calls that have gone to the browser and have no reply yet.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::client::{Client, ClientId, SendQueue};
use super::file_access::ClientOrigin;
use super::policy::TrackedEffect;

/// What the reply to an own call says.
pub(crate) type CommandReply = Result<Box<RawValue>, Box<RawValue>>;

/// Who waits for a reply.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A client.
    Client(ClientCallInFlight),
    /// One of our own commands.
    Command(oneshot::Sender<CommandReply>),
    /// A client that is about to be attached.
    Attach(
        PendingAttach,
        oneshot::Sender<Result<Client, Box<RawValue>>>,
    ),
    /// The tab of that target id: it gets a session of our own.
    Tab(String),
    /// Nobody, but the context that is being made has to go again: its client has left.
    UnwantedContext,
    /// Nobody.
    Nobody,
}

/// What a client's root session is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// The browser as a whole.
    Browser,
    /// One target, by its id.
    Target(String),
}

/// What is known of a client before it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingAttach {
    pub(crate) root: Root,
    pub(crate) origin: ClientOrigin,
}

/// A client's call that has gone to the browser.
#[derive(Debug)]
pub(crate) struct ClientCallInFlight {
    pub(crate) client: ClientId,
    /// The client's own id.
    pub(crate) id: i64,
    /// The session that the call runs on.
    pub(crate) on: Arc<str>,
    /// Whether the client named the session; one that did not gets a reply without it.
    pub(crate) named: bool,
    pub(crate) effect: TrackedEffect,
    /// What [`TrackedEffect::DisposeContext`] disposes of, or [`TrackedEffect::CloseTarget`] closes: an id. Of
    /// [`TrackedEffect::Navigate`] the URL.
    pub(crate) subject: Option<String>,
    /// The browser answers it even when the target crashes.
    pub(crate) outlives_crash: bool,
    /// It is to bring a crashed target back.
    pub(crate) revives: bool,
}

/// A call whose reply will not come.
#[derive(Debug)]
pub(crate) struct OrphanedCall {
    pub(crate) id: i64,
    /// As the client named it.
    pub(crate) session: Option<Arc<str>>,
    pub(crate) queue: Arc<SendQueue>,
    pub(crate) client: ClientId,
}
