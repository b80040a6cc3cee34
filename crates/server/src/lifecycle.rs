//! From the settings to a server that listens, and from a signal to nothing left.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::HeaderValue;
use axum::serve::ListenerExt;
use hearth_browser::probe;
use hearth_confine::{Launcher, raise_open_files};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Config, ConfigError};
use crate::router;
use crate::runtime::Runtime;
use crate::sessions::{Registry, RegistrySpec, sessions_folder, sweep, watch, watch_disk};
use crate::state::AppState;

/// How long open requests may take to be answered after the sessions have ended.
const ANSWERS_BOUND: Duration = Duration::from_secs(2);

/// How long an orderly stop may take; what is left then ends by its lifelines.
const STOP_BOUND: Duration = Duration::from_secs(14);

/// How long a peer may take nothing of what is sent to it, in milliseconds.
const NO_PROGRESS_MS: u32 = 10_000;

/// Whoever signals a process and its group signals it twice; that is one wish.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// Our own executable, also after its file was replaced by a newer one.
pub(crate) const SHIM: &str = "/proc/self/exe";

/// The file in the data directory that a server holds locked.
pub(crate) const LOCK: &str = "lock";

/// Serves until a signal, and returns when nothing is left.
pub(crate) async fn serve(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    if let Err(error) = raise_open_files() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let runtime = Runtime::find(&config.runtime_dir)?;
    let _lock = lock_data_dir(&config.data_dir)?;
    let sessions = sessions_folder(&config.data_dir);
    sweep(&sessions).map_err(|error| {
        ConfigError(format!("HEARTH_DATA_DIR: leftovers in {} cannot be removed: {error}", sessions.display()))
    })?;
    let tracker = TaskTracker::new();
    let user_agent = find_user_agent(&config, &tracker).await?;
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", config.listen))?;
    let internal = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot listen on loopback")?;
    let spec = RegistrySpec {
        sessions_folder: sessions,
        browser: config.browser,
        user_agent,
        viewport: config.viewport,
        runtime,
        shim: PathBuf::from(SHIM),
        internal_port: internal.local_addr()?.port(),
        max_sessions: config.max_sessions,
        max_output_bytes: config.max_output_bytes,
        limits: config.limits,
    };
    let max_sessions = config.max_sessions;
    let registry = Arc::new(Registry::new(spec, tracker.clone()));
    let address = listener.local_addr()?;
    let keyless = config.keys.is_empty();
    let page_policy = page_policy(&config.frame_ancestors)?;
    let state = AppState::new(config.keys, config.public_url, address.to_string(), page_policy, Arc::clone(&registry));
    let stop = CancellationToken::new();
    tracker.spawn(watch(Arc::clone(&registry), stop.clone()));
    tracker.spawn(watch_disk(Arc::clone(&registry), stop.clone()));
    let servers = TaskTracker::new();
    servers.spawn(listen(listener, router::public(state.clone()), stop.clone()));
    servers.spawn(listen(internal, router::internal(state), stop.clone()));
    announce(address, keyless, max_sessions);

    signals.next().await;
    tracing::info!("stopping: sessions are being ended");
    let orderly = async {
        registry.stop().await;
        stop.cancel();
        servers.close();
        // Keep-alive connections without a request are closed by the servers, answers are waited for.
        let _ = timeout(ANSWERS_BOUND, servers.wait()).await;
        tracker.close();
        tracker.wait().await;
    };
    tokio::select! {
        outcome = timeout(STOP_BOUND, orderly) => {
            if outcome.is_ok() {
                tracing::info!("stopped");
            } else {
                tracing::error!("stopped, and something did not end in time");
            }
        }
        // What is left ends with us: every shim sees its lifeline close.
        () = signals.next_after(SAME_SIGNAL) => tracing::warn!("stopped at once by a second signal"),
    }
    Ok(())
}

/// What the live view's page may do, which is to be itself, and who may show it in a frame.
fn page_policy(frame_ancestors: &str) -> anyhow::Result<HeaderValue> {
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors {frame_ancestors}"
    );
    HeaderValue::try_from(policy).context("HEARTH_FRAME_ANCESTORS does not fit into a header")
}

async fn listen(listener: TcpListener, router: Router, stop: CancellationToken) {
    // Answers and CDP messages are small and must not wait for each other (Nagle's algorithm).
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
        // Whoever takes nothing of what is sent to him for so long is gone, or never comes back (`tcp(7)`).
        let _ = setsockopt(stream, sockopt::TcpUserTimeout, &NO_PROGRESS_MS);
    });
    let server = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "a listener failed");
    }
}

/// One server a data directory: it would sweep away the other's sessions.
fn lock_data_dir(folder: &Path) -> anyhow::Result<Flock<File>> {
    let cannot = |error: &dyn std::fmt::Display| {
        ConfigError(format!("HEARTH_DATA_DIR: {} cannot be used: {error}", folder.display()))
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| cannot(&error))?;
    let file = File::options().create(true).append(true).open(folder.join(LOCK)).map_err(|error| cannot(&error))?;
    let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock);
    Ok(locked.map_err(|_| ConfigError(format!("HEARTH_DATA_DIR: another hearth server uses {}", folder.display())))?)
}

/// The configured user agent or the browser's own; asking for it also shows whether the browser runs at all.
async fn find_user_agent(config: &Config, tracker: &TaskTracker) -> anyhow::Result<String> {
    let launcher = Launcher::new(PathBuf::from(SHIM), tracker.clone());
    let version = probe(&launcher, &config.browser).await.map_err(|error| {
        ConfigError(format!("HEARTH_BROWSER: {} cannot be used: {error}", config.browser.display()))
    })?;
    tracing::info!(browser = version.number(), "the browser is there");
    Ok(config.user_agent.clone().unwrap_or_else(|| version.default_user_agent()))
}

/// Tells people, and tests, where the server is.
fn announce(address: SocketAddr, keyless: bool, max_sessions: usize) {
    let version = env!("CARGO_PKG_VERSION");
    let key = if keyless { "" } else { " -H \"Authorization: Bearer $API_KEY\"" };
    let hint = if keyless { "" } else { ", with a key of yours in $API_KEY" };
    let host =
        if address.ip().is_unspecified() { SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())) } else { address };
    let text = format!(
        r#"Hearth {version} is ready at http://{host} (up to {max_sessions} sessions). Try it{hint}:

  ID=$(curl -s{key} -X POST http://{host}/v2/interact | sed 's/.*"id":"\([^"]*\)".*/\1/')
  curl -s{key} http://{host}/v2/interact/$ID/execute -H 'Content-Type: application/json' \
    -d '{{"code": "await page.goto(\"data:text/html,<title>Hello</title>\"); await page.title()"}}'
  curl -s{key} -X DELETE http://{host}/v2/interact/$ID

"#
    );
    let mut out = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// The two signals that mean: stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Signals> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The next one that does not come within `pause` from now.
    async fn next_after(&mut self, pause: Duration) {
        let from = Instant::now() + pause;
        while Instant::now() < from {
            self.next().await;
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
