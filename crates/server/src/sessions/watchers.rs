//! The background tasks that watch all sessions.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime;
use tokio_util::sync::CancellationToken;

use super::limits::WatcherResources;
use super::limits::disk::watch_disk;
use super::limits::memory::watch_memory;
use super::orphans::watch_orphans;
use super::registry::Registry;

/// The maximum number of threads that wait for the readings of one watcher: tasks for files, and
/// starts of shims.
const BLOCKING_THREADS: usize = 4;

/// Starts the watchers. They run until `stop`. Call this early, because they open descriptors.
pub(crate) fn spawn_watchers(registry: &Arc<Registry>, stop: &CancellationToken) -> io::Result<()> {
    let reserved = registry.server_limits().reserved_descriptors;
    let of_memory = WatcherResources::open(reserved)?;
    let (watched, stopped) = (Arc::clone(registry), stop.clone());
    spawn_on_thread("watch-memory", registry, move || {
        watch_memory(watched, of_memory, stopped)
    })?;
    let of_disk = WatcherResources::open(reserved)?;
    let (watched, stopped) = (Arc::clone(registry), stop.clone());
    spawn_on_thread("watch-disk", registry, move || {
        watch_disk(watched, of_disk, stopped)
    })?;
    if registry.warm_pool.size() > 0 {
        registry.tracker().spawn(Arc::clone(registry).keep_warm());
    }
    registry.tracker().spawn(watch_orphans(
        Arc::clone(&registry.services.orphans),
        registry.spec.isolation.clone(),
        registry.uid_pool.clone(),
        stop.clone(),
    ));
    Ok(())
}

/// Runs a watcher on its own thread and runtime. Everything that the watcher starts runs there,
/// too, so that other work of the server cannot delay it.
fn spawn_on_thread<W: Future<Output = ()>>(
    name: &str,
    registry: &Registry,
    watcher: impl FnOnce() -> W + Send + 'static,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name(name)
        .build()?;
    let token = registry.tracker().token();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            runtime.block_on(watcher());
            // A reading that hangs must not delay the end of the server.
            runtime.shutdown_background();
            drop(token);
        })?;
    Ok(())
}
