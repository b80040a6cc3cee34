//! Who waits for what: the calls that have gone to the browser and have no reply yet.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::client::{Client, ClientId, Outbox};
use super::file_access::Side;
use super::policy::Watch;

/// What the reply to an own call says.
pub(crate) type OwnReply = Result<Box<RawValue>, Box<RawValue>>;

/// Who waits for a reply.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A client.
    Client(ClientCallInFlight),
    /// One of our own commands.
    Own(oneshot::Sender<OwnReply>),
    /// A client that is about to be attached.
    Attach(Newcomer, oneshot::Sender<Result<Client, Box<RawValue>>>),
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
pub(crate) struct Newcomer {
    pub(crate) root: Root,
    pub(crate) side: Side,
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
    pub(crate) watch: Watch,
    /// What [`Watch::DisposeContext`] disposes of, or [`Watch::CloseTarget`] closes: an id. Of
    /// [`Watch::Navigate`] the URL.
    pub(crate) subject: Option<String>,
    /// The browser answers it even when the target crashes.
    pub(crate) outlives_crash: bool,
    /// It is to bring a crashed target back.
    pub(crate) revives: bool,
}

/// A call whose reply will not come.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) id: i64,
    /// As the client named it.
    pub(crate) session: Option<Arc<str>>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) client: ClientId,
}
