//! The loopback listener through which the programs of one session reach its browser.
//!
//! Each session has its own, so that a session that opens many connections delays only itself.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use hearth_egress::{Egress, SelfPort};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::program_access::ProgramAccess;

/// A listener to serve, until `stop`, as a task of the session.
#[derive(Debug)]
pub(crate) struct CdpListener {
    pub listener: TcpListener,
    /// The secret of the listener's clients, and their browser.
    pub access: Arc<ProgramAccess>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

/// Passes listeners to the HTTP server, which this module does not depend on.
pub(crate) type CdpListeners = mpsc::Sender<CdpListener>;

/// The session's side of its listener. Dropping it closes the listener.
#[derive(Debug)]
pub(super) struct OpenCdpListener {
    port: u16,
    _self_port: SelfPort,
    stop: DropGuard,
}

impl OpenCdpListener {
    /// Opens a listener. Returns the part that must be served, too.
    pub async fn open(
        egress: &Egress,
        access: &Arc<ProgramAccess>,
        tasks: &TaskTracker,
    ) -> io::Result<(OpenCdpListener, CdpListener)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let stop = CancellationToken::new();
        let open = OpenCdpListener {
            port,
            _self_port: egress.reserve_port(port),
            stop: stop.clone().drop_guard(),
        };
        let to_serve = CdpListener {
            listener,
            access: Arc::clone(access),
            stop,
            tasks: tasks.clone(),
        };
        Ok((open, to_serve))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes the listener and its connections.
    pub fn close(&self) {
        self.stop.token().cancel();
    }
}
