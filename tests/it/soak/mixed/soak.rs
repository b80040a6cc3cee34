//! The state that all clients and faults of a run share.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use hearth_test_support::{Site, TestServer};
use tokio::sync::watch;
use tokio::time::timeout;

use super::counter::Counters;
use super::hits::Hits;
use super::journal::Journal;

/// The keys, one per team. A client's team is its number modulo three.
pub const KEYS: [&str; 3] = ["soak-key-a", "soak-key-b", "soak-key-c"];

/// The key for metrics, which belongs to no team.
pub const OPERATOR_KEY: &str = "soak-key-operator";

/// A running load.
pub struct Soak<'a> {
    pub server: &'a TestServer,
    pub site: &'a Site,
    pub journal: Journal,
    pub hits: Hits,
    pub counters: Counters,
    /// The `cdpUrl` of every session that a client uses, by the name of the session's dir.
    pub cdp_urls: Mutex<BTreeMap<String, String>>,
    over: watch::Sender<bool>,
}

impl<'a> Soak<'a> {
    pub fn new(server: &'a TestServer, site: &'a Site) -> Soak<'a> {
        Soak {
            server,
            site,
            journal: Journal::new(),
            hits: Hits::default(),
            counters: Counters::default(),
            cdp_urls: Mutex::default(),
            over: watch::Sender::new(true),
        }
    }

    /// Begins a round, or ends it: clients then delete their sessions, and faults stop.
    pub fn set_over(&self, over: bool) {
        self.over.send_replace(over);
    }

    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Waits for `duration`, or until the round is over.
    pub async fn pause(&self, duration: Duration) {
        let mut over = self.over.subscribe();
        let _ = timeout(duration, over.wait_for(|is_over| *is_over)).await;
    }

    /// Records a failure of a session: explained by a fault, or else a violation.
    pub fn failed(&self, what: &str, fault: Option<&str>, details: impl FnOnce() -> String) {
        match fault {
            Some(_) => self.journal.count(&format!("{what}: failed after a fault")),
            None => self
                .journal
                .violation(format!("{what} failed without a fault: {}", details())),
        }
    }
}
