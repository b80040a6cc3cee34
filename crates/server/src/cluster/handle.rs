//! The handle to the cluster.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::id::{node_number, session_id};
use super::moment::Moment;
use super::standing::{Evidence, PeerVerdict, Standing};
use super::token_keys::TokenKeys;
use super::view::{Life, Node, NodeLoad, NodeState, View};
use crate::config::ClusterSecrets;
use crate::metrics::{ClusterCounts, FencedBy, Metrics};
use crate::store::StoreError;
use crate::store::cluster::{ClusterSession, ClusterSessions};

/// The maximum time that a request waits for news about the lease.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);

/// The time limit for reading the store for a peer. The pool would wait longer for a database that
/// does not answer.
const VERDICT_TIMEOUT: Duration = Duration::from_secs(1);

/// The time after which the load that the server has reported is too old for a beat. The server
/// reports it twice a second. A server that cannot do that does not answer requests either.
const LOAD_COUNTS_FOR: Duration = Duration::from_secs(4);

/// This node's part in the cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(super) sessions: ClusterSessions,
    pub(super) secrets: ClusterSecrets,
    pub(super) metrics: Arc<Metrics>,
    token_keys: TokenKeys,
    pub(super) view: watch::Sender<Arc<View>>,
    pub(super) evidence: watch::Sender<Evidence>,
    pub(super) registered: watch::Sender<Option<Registered>>,
    load: watch::Sender<(NodeLoad, Moment)>,
    pub(super) is_draining: watch::Sender<bool>,
    /// Makes the node beat at once.
    pub(super) beat_now: Notify,
    /// Notified when nothing of the sessions of a lost lease remains.
    pub(super) cleared: Notify,
    /// Notified when sessions of a lost node have ended.
    pub(super) swept: Notify,
    /// Ends the membership.
    pub(super) stop: CancellationToken,
}

/// A life of this node with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Registered {
    pub life: Life,
    pub number: u16,
}

/// The node of a session, by the number in its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This node.
    Local,
    /// Another node that is alive.
    Remote(Arc<Node>),
    /// No node that is alive has the number. Only the store knows more.
    Unknown,
}

impl Cluster {
    pub(super) fn new(
        sessions: ClusterSessions,
        secrets: ClusterSecrets,
        metrics: Arc<Metrics>,
        load: NodeLoad,
    ) -> Cluster {
        Cluster {
            sessions,
            token_keys: TokenKeys::new(secrets.clone()),
            secrets,
            metrics,
            view: watch::Sender::default(),
            evidence: watch::Sender::default(),
            registered: watch::Sender::new(None),
            load: watch::Sender::new((load, Moment::now())),
            is_draining: watch::Sender::new(false),
            beat_now: Notify::new(),
            cleared: Notify::new(),
            swept: Notify::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Returns the nodes as of the last look at the store.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Returns the view and its changes.
    pub fn watch_view(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Returns the sessions of all nodes.
    pub fn sessions(&self) -> &ClusterSessions {
        &self.sessions
    }

    /// Returns the secrets from which tokens are derived.
    pub fn token_keys(&self) -> &TokenKeys {
        &self.token_keys
    }

    /// Returns the current life, and its changes.
    pub fn watch_registered(&self) -> watch::Receiver<Option<Registered>> {
        self.registered.subscribe()
    }

    /// Returns the current life, unless the lease is lost.
    pub fn current(&self) -> Option<Registered> {
        if self.standing() == Standing::Fenced {
            return None;
        }
        self.registered.borrow().clone()
    }

    /// Returns true if this life has its lease, as far as this node knows.
    pub fn is_current(&self, life: &Life) -> bool {
        self.current().is_some_and(|current| current.life == *life)
    }

    /// Waits until the node is registered. Cancel safe.
    pub async fn registered(&self) {
        let mut registered = self.registered.subscribe();
        // The handle owns the sender.
        let _ = registered.wait_for(Option::is_some).await;
    }

    /// Returns an id for a new session, unless the lease is lost.
    pub fn new_session_id(&self) -> Option<Result<(Uuid, Life), getrandom::Error>> {
        let Registered { life, number } = self.current()?;
        Some(session_id(number).map(|id| (id, life)))
    }

    /// Returns the node that a session's id names. Asks nobody.
    pub fn owner(&self, id: Uuid) -> Owner {
        let Some(number) = node_number(id) else {
            return Owner::Unknown;
        };
        let view = self.view.borrow();
        match view.by_number(number) {
            Some(node) if node.life == view.own => Owner::Local,
            Some(node) => Owner::Remote(Arc::clone(node)),
            None => Owner::Unknown,
        }
    }

    /// Finds a session that clients know in the store, active or ended.
    pub async fn find(&self, id: Uuid) -> Result<Option<ClusterSession>, StoreError> {
        self.sessions.find(id).await
    }

    /// Returns what this node knows about its own lease now.
    pub fn standing(&self) -> Standing {
        self.evidence.borrow().standing(Moment::now())
    }

    /// Waits at most two seconds until this node knows whether it has its lease. Cancel safe.
    pub async fn settle(&self) -> Standing {
        let mut evidence = self.evidence.subscribe();
        let is_known = |evidence: &Evidence| evidence.standing(Moment::now()) != Standing::Suspect;
        if !is_known(&evidence.borrow()) {
            self.beat_now.notify_one();
        }
        let _ = timeout(SETTLE_TIMEOUT, evidence.wait_for(is_known)).await;
        self.standing()
    }

    /// Waits until the lease is lost. Cancel safe.
    pub async fn fenced(&self) {
        let mut evidence = self.evidence.subscribe();
        let _ = evidence
            .wait_for(|evidence| evidence.fenced.is_some())
            .await;
    }

    /// Waits until the node has a lease again. Cancel safe.
    pub async fn not_fenced(&self) {
        let mut evidence = self.evidence.subscribe();
        let _ = evidence
            .wait_for(|evidence| evidence.fenced.is_none())
            .await;
    }

    /// Reports that nothing of the sessions of a lost lease remains. The node then registers again.
    pub fn cleared(&self) {
        self.cleared.notify_one();
    }

    /// Reports the load of this node. Call it at least every few seconds: a server that does not
    /// respond must lose its lease.
    pub fn report(&self, load: NodeLoad) {
        self.load.send_replace((load, Moment::now()));
    }

    /// Returns the load of this node, as reported last.
    pub fn load(&self) -> NodeLoad {
        self.load.borrow().0
    }

    /// Returns the load, unless the server has stopped reporting it.
    pub(super) fn fresh_load(&self) -> Option<NodeLoad> {
        let (load, at) = *self.load.borrow();
        (Moment::now().since(at) <= LOAD_COUNTS_FOR).then_some(load)
    }

    /// Marks this node as draining: it creates no sessions any more.
    pub fn drain(&self) {
        if !self.is_draining.send_replace(true) {
            self.beat_now.notify_one();
        }
    }

    /// Returns true if this node creates no sessions any more.
    pub fn is_draining(&self) -> bool {
        *self.is_draining.borrow()
    }

    /// Waits until this node is draining. Cancel safe.
    pub async fn draining(&self) {
        let mut is_draining = self.is_draining.subscribe();
        let _ = is_draining.wait_for(|is_draining| *is_draining).await;
    }

    /// Waits until sessions of a lost node have ended. Cancel safe.
    pub async fn swept(&self) {
        self.swept.notified().await;
    }

    /// Waits until only peers can say whether this node has its lease. Cancel safe.
    pub async fn verdict_wanted(&self) {
        let mut evidence = self.evidence.subscribe();
        let is_wanted = |evidence: &Evidence| evidence.store_is_away && evidence.fenced.is_none();
        let _ = evidence.wait_for(is_wanted).await;
    }

    /// Records the answer of a peer, which was asked about the lease of `life` at `asked_at`.
    pub fn hear(&self, life: &Life, verdict: PeerVerdict, asked_at: Moment) {
        if !self.is_current(life) {
            return;
        }
        self.evidence.send_modify(|evidence| match verdict {
            PeerVerdict::Fenced => evidence.fenced = Some(FencedBy::Peer),
            PeerVerdict::Alive | PeerVerdict::StoreAway => {
                evidence.vouched_at = evidence.vouched_at.max(Some(asked_at));
            }
        });
    }

    /// Returns what the store says about the lease of a peer that cannot reach it. Answers within a
    /// second, because the peer needs the answer to keep its lease.
    pub async fn verdict_on(&self, life: &Life) -> PeerVerdict {
        if self.evidence.borrow().store_is_away {
            return PeerVerdict::StoreAway;
        }
        let reading = self.sessions.latest_life(&life.name);
        let Ok(Ok(latest)) = timeout(VERDICT_TIMEOUT, reading).await else {
            return PeerVerdict::StoreAway;
        };
        match latest {
            Some((epoch, _)) if epoch > life.epoch => PeerVerdict::Fenced,
            Some((epoch, state)) if epoch == life.epoch && !state.is_alive() => PeerVerdict::Fenced,
            // A store that has forgotten the life has not ended it.
            _ => PeerVerdict::Alive,
        }
    }

    /// Returns the state of the cluster for metrics.
    pub fn counts(&self) -> ClusterCounts {
        let view = self.view();
        let state = match self.standing() {
            Standing::Fenced => "fenced",
            _ if self.is_draining() => "draining",
            _ => "up",
        };
        let beaten_at = self.evidence.borrow().beaten_at;
        ClusterCounts {
            state: Some(state),
            up: view.count(NodeState::Up),
            draining: view.count(NodeState::Draining),
            beat_age_seconds: Moment::now().since(beaten_at).as_secs(),
        }
    }

    /// Ends the membership: the node leaves the cluster. Call it when all sessions have ended.
    pub fn leave(&self) {
        self.stop.cancel();
    }
}
