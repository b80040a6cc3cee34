//! Resolves names to addresses.

use std::fmt::Debug;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A resolver of host names.
pub trait Resolve: Debug + Send + Sync {
    /// Returns all addresses of a name. May block as long as the system resolver does.
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system resolver, with its hosts file and its name servers.
#[derive(Debug)]
pub(crate) struct SystemResolver;

impl Resolve for SystemResolver {
    fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if is_loopback_name(name) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let sockets = (name, 0).to_socket_addrs()?;
        Ok(sockets.map(|socket| socket.ip()).collect())
    }
}

/// The maximum number of threads for lookups. A lookup blocks a thread until the system resolver
/// returns, which takes half a minute if no name server answers.
const MAX_THREADS: usize = 256;

/// The maximum numbers of concurrent lookups, without one lookup of each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupLimits {
    /// The lookups of all sessions.
    pub all_sessions: usize,
    /// The lookups of one session.
    pub session: usize,
}

impl LookupLimits {
    /// The limits of every server that is not tested without them.
    pub const STANDARD: LookupLimits = LookupLimits {
        all_sessions: 32,
        session: 3,
    };
}

/// The runtime whose blocking threads perform lookups. It is separate, because lookups that hang
/// would otherwise delay everything else that blocks, such as the creation of sessions.
static LOOKUPS: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(MAX_THREADS)
        .thread_name("dns")
        .build()
});

/// The permits for lookups that all sessions share.
#[derive(Clone, Debug)]
pub(crate) struct SharedLookups {
    permits: Arc<Semaphore>,
    /// The maximum number of permits that one session holds.
    max_of_session: usize,
}

impl SharedLookups {
    pub(crate) fn new(limits: LookupLimits) -> SharedLookups {
        SharedLookups {
            permits: Arc::new(Semaphore::new(limits.all_sessions)),
            max_of_session: limits.session,
        }
    }
}

/// The permits for lookups of one session. One lookup never waits for other sessions. A few more
/// share permits with all sessions, so that lookups that hang do not fill the machine with threads.
#[derive(Debug)]
pub(crate) struct Lookups {
    own: Arc<Semaphore>,
    more: Arc<Semaphore>,
    shared: SharedLookups,
}

/// The permits of one lookup.
#[derive(Debug)]
struct LookupPermit {
    _of_session: OwnedSemaphorePermit,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Lookups {
    pub(crate) fn new(shared: &SharedLookups) -> Lookups {
        Lookups {
            own: Arc::new(Semaphore::new(1)),
            more: Arc::new(Semaphore::new(shared.max_of_session)),
            shared: shared.clone(),
        }
    }

    /// Performs a lookup on a thread for lookups.
    pub(crate) async fn look_up(
        &self,
        resolver: Arc<dyn Resolve>,
        name: String,
    ) -> io::Result<Vec<IpAddr>> {
        let runtime = LOOKUPS
            .as_ref()
            .map_err(|error| io::Error::from(error.kind()))?;
        let permit = self.permit().await.map_err(io::Error::other)?;
        let lookup = runtime.spawn_blocking(move || {
            // The lookup holds the permit itself, because it continues when the caller stops
            // waiting.
            let _permit = permit;
            resolver.addresses(&name)
        });
        lookup.await.map_err(io::Error::other)?
    }

    async fn permit(&self) -> Result<LookupPermit, AcquireError> {
        let own = async {
            Ok(LookupPermit {
                _of_session: Arc::clone(&self.own).acquire_owned().await?,
                _shared: None,
            })
        };
        let shared = async {
            Ok(LookupPermit {
                _of_session: Arc::clone(&self.more).acquire_owned().await?,
                _shared: Some(Arc::clone(&self.shared.permits).acquire_owned().await?),
            })
        };
        tokio::select! {
            biased;
            permit = own => permit,
            permit = shared => permit,
        }
    }
}

/// Returns whether a name always refers to loopback (RFC 6761, section 6.3).
pub(crate) fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A resolver that resolves `quick` at once and everything else when the sender is dropped.
    #[derive(Debug)]
    struct HangingResolver {
        started: Sender<()>,
        end: Arc<Mutex<Receiver<()>>>,
    }

    impl Resolve for HangingResolver {
        fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
            if name != "quick" {
                let _ = self.started.send(());
                let _ = self.end.lock().expect("no panic").recv();
            }
            Ok(vec![Ipv4Addr::LOCALHOST.into()])
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn lookups_that_hang_block_no_other_session() {
        const SESSIONS: usize = 40;
        let ((started, starts), (end, ended)) = (channel(), channel());
        let resolver: Arc<dyn Resolve> = Arc::new(HangingResolver {
            started,
            end: Arc::new(Mutex::new(ended)),
        });
        let shared = SharedLookups::new(LookupLimits::STANDARD);
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..SESSIONS {
            let session = Arc::new(Lookups::new(&shared));
            for _ in 0..5 {
                let (session, resolver) = (Arc::clone(&session), Arc::clone(&resolver));
                waiting.spawn(async move { session.look_up(resolver, "slow".to_owned()).await });
            }
        }
        let starts = tokio::task::spawn_blocking(move || {
            let count = SESSIONS + LookupLimits::STANDARD.all_sessions;
            (0..count).for_each(|_| starts.recv().expect("it starts"));
            starts
        });
        let starts = starts.await.expect("no panic");
        let other = Lookups::new(&shared);
        let found = other.look_up(Arc::clone(&resolver), "quick".to_owned());
        assert_eq!(
            found.await.expect("resolved"),
            [IpAddr::from(Ipv4Addr::LOCALHOST)]
        );
        assert!(starts.try_recv().is_err(), "no further lookup has started");
        drop(end);
        assert_eq!(waiting.join_all().await.len(), SESSIONS * 5);
    }
}
