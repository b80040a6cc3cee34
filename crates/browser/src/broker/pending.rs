//! Calls that were sent to the browser and have no reply yet.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::file_access::ClientOrigin;
use super::policy::TrackedEffect;
use super::send_queue::{ClientId, SendQueue};

/// The reply to one of Hearth's commands.
pub(crate) type CommandReply = Result<Box<RawValue>, Box<RawValue>>;

/// Receives a new client's registration, or the browser's error.
pub(crate) type OnAttached =
    Box<dyn FnOnce(Result<(ClientId, Arc<SendQueue>), Box<RawValue>>) + Send>;

/// The receiver of a reply.
pub(crate) enum Pending {
    /// A client.
    Client(ClientCallInFlight),
    /// One of Hearth's commands.
    Command(oneshot::Sender<CommandReply>),
    /// A client that is about to be attached.
    Attach(PendingAttach, OnAttached),
    /// The tab with this target id, which gets a session of the broker.
    Tab(String),
    /// No receiver. The context that is being created must be disposed of, because its client has
    /// left.
    UnwantedContext,
    /// No receiver.
    Nobody,
}

/// The target of a client's root session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// The whole browser.
    Browser,
    /// One target, by its id.
    Target(String),
}

/// A client that is about to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingAttach {
    pub(crate) root: Root,
    pub(crate) origin: ClientOrigin,
}

/// A client's call that was sent to the browser.
#[derive(Debug)]
pub(crate) struct ClientCallInFlight {
    pub(crate) client: ClientId,
    /// The client's id of the call.
    pub(crate) id: i64,
    /// The session that the call runs on.
    pub(crate) on: Arc<str>,
    /// True if the client named the session. Otherwise the reply has no session.
    pub(crate) named: bool,
    pub(crate) effect: TrackedEffect,
    /// The id of the context for [`TrackedEffect::DisposeContext`], the id of the target for
    /// [`TrackedEffect::CloseTarget`], or the URL for [`TrackedEffect::Navigate`].
    pub(crate) subject: Option<String>,
    /// True if the browser replies even when the target crashes.
    pub(crate) outlives_crash: bool,
    /// True if the call may restore a crashed target.
    pub(crate) revives: bool,
}

/// A call that will get no reply.
#[derive(Debug)]
pub(crate) struct OrphanedCall {
    pub(crate) id: i64,
    /// The session as the client named it.
    pub(crate) session: Option<Arc<str>>,
    pub(crate) queue: Arc<SendQueue>,
    pub(crate) client: ClientId,
}
