//! The membership of this node: registration, beats, and looks at the other nodes.
//!
//! It has its own thread, runtime and two connections, so that no session delays a beat. It
//! beats only while the rest of the server reports its load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::{io, mem};

use hearth_peer::{Claim, Fingerprint};
use tokio::runtime;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::handle::{Cluster, Registered};
use super::looks::Looks;
use super::moment::Moment;
use super::pace::{jittered, pause};
use super::standing::Evidence;
use super::view::{Life, Node, NodeLoad, NodeState, PROTOCOL, View};
use crate::config::ClusterSecrets;
use crate::metrics::{FencedBy, Metrics};
use crate::store::StoreError;
use crate::store::cluster::{ClusterSessions, MemberConnection, Registration};

/// The time between two beats.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// The time between two attempts to register.
const REGISTER_EVERY: Duration = Duration::from_secs(1);

/// The time between two checks of the evidence about the lease.
const CHECK_EVERY: Duration = Duration::from_millis(500);

/// The identity and the limits with which a node joins a cluster.
#[derive(Debug)]
pub(crate) struct JoinSpec {
    pub name: String,
    /// The address at which other nodes reach this one.
    pub address: SocketAddr,
    /// The fingerprint of the certificate of this process.
    pub fingerprint: Fingerprint,
    pub secrets: ClusterSecrets,
    /// The maximum number of sessions.
    pub max_sessions: usize,
}

/// The task that keeps the lease of this node.
#[derive(Debug)]
pub(super) struct Member {
    cluster: Arc<Cluster>,
    beats: MemberConnection,
    looks: Looks,
    registration: Registration,
    fingerprint: Fingerprint,
}

/// The end of a life.
#[derive(Debug)]
enum LifeEnd {
    /// The lease is lost.
    Fenced(FencedBy),
    /// The store was restored or emptied. Nobody has taken the lease.
    Forgotten,
}

impl Cluster {
    /// Starts the membership of this node on its own thread, which `tracker` counts. The node
    /// is a member when [`registered`](Cluster::registered) returns.
    pub fn join(
        spec: JoinSpec,
        sessions: ClusterSessions,
        metrics: Arc<Metrics>,
        tracker: &TaskTracker,
    ) -> io::Result<Arc<Cluster>> {
        let load = NodeLoad {
            sessions: 0,
            max_sessions: spec.max_sessions,
            ready: true,
        };
        let cluster = Cluster::new(sessions, spec.secrets.clone(), metrics, load);
        let cluster = Arc::new(cluster);
        let member = Member::new(Arc::clone(&cluster), spec);
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let token = tracker.token();
        thread::Builder::new()
            .name("membership".to_owned())
            .spawn(move || {
                runtime.block_on(member.run());
                runtime.shutdown_background();
                drop(token);
            })?;
        Ok(cluster)
    }
}

impl Member {
    fn new(cluster: Arc<Cluster>, spec: JoinSpec) -> Member {
        let database = cluster.sessions.database();
        let registration = Registration {
            name: spec.name,
            address: spec.address,
            fingerprint: spec.fingerprint.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            max_sessions: spec.max_sessions,
            earlier: None,
        };
        Member {
            beats: MemberConnection::new(database),
            looks: Looks::new(Arc::clone(&cluster), MemberConnection::new(database)),
            cluster,
            registration,
            fingerprint: spec.fingerprint,
        }
    }

    /// Keeps the lease until the server stops, and begins a new life after one that has ended.
    async fn run(mut self) {
        let stop = self.cluster.stop.clone();
        tokio::select! {
            () = self.live() => {}
            () = stop.cancelled() => {}
        }
        let left = self.cluster.registered.borrow().clone();
        if let Some(Registered { life, .. }) = left
            && let Err(error) = self.beats.leave(&life).await
        {
            tracing::warn!(%error, "departure from the cluster not recorded");
        }
    }

    async fn live(&mut self) {
        loop {
            let registered = self.register().await;
            match self.keep_lease(&registered.life).await {
                LifeEnd::Forgotten => {
                    tracing::warn!("node forgotten by the database, registered again");
                }
                LifeEnd::Fenced(by) => {
                    self.cluster
                        .evidence
                        .send_modify(|evidence| evidence.fenced = Some(by));
                    self.cluster.metrics.cluster().fenced(by);
                    tracing::error!(by = by.label(), "lease of this node lost");
                    self.cluster.cleared.notified().await;
                    self.wait_for_name(&registered.life).await;
                }
            }
            self.registration.earlier = Some((registered.life.epoch, registered.number));
        }
    }

    /// Begins a new life, as soon as the store answers.
    async fn register(&mut self) -> Registered {
        let mut is_logged = false;
        loop {
            let sent = Moment::now();
            self.registration.max_sessions = self.cluster.load().max_sessions;
            match self.try_register().await {
                Ok(registered) => {
                    self.begin_life(&registered, sent);
                    return registered;
                }
                // A conflict: two nodes that start at once can take the same number.
                Err(error) if error.is_conflict() || mem::replace(&mut is_logged, true) => {
                    tracing::debug!(%error, "node not registered");
                }
                Err(error) => tracing::warn!(%error, "node not registered"),
            }
            pause(REGISTER_EVERY, &self.cluster.beat_now).await;
        }
    }

    async fn try_register(&mut self) -> Result<Registered, StoreError> {
        let Registration { name, address, .. } = &self.registration;
        let prove = |epoch| {
            let claim = Claim {
                name,
                epoch,
                address: *address,
                fingerprint: self.fingerprint,
            };
            claim.prove(self.cluster.secrets.current())
        };
        let (epoch, number) = self.beats.register(&self.registration, prove).await?;
        let name = name.clone();
        let life = Life { name, epoch };
        Ok(Registered { life, number })
    }

    fn begin_life(&self, registered: &Registered, sent: Moment) {
        let Registered { life, number } = registered;
        tracing::info!(
            node = life.name,
            number,
            epoch = life.epoch,
            "node registered"
        );
        let own = Node {
            life: life.clone(),
            number: *number,
            address: self.registration.address,
            fingerprint: self.fingerprint,
            state: NodeState::Up,
            load: self.cluster.load(),
            protocol: PROTOCOL,
            version: self.registration.version.clone(),
        };
        self.cluster.view.send_modify(|view| {
            let others = view.nodes.iter().filter(|node| node.life.name != life.name);
            let mut nodes: Vec<Arc<Node>> = others.cloned().collect();
            nodes.push(Arc::new(own));
            *view = Arc::new(View {
                nodes,
                own: life.clone(),
                seen_at: view.seen_at,
                stranger: view.stranger.clone(),
            });
        });
        self.cluster.evidence.send_modify(|evidence| {
            *evidence = Evidence {
                beaten_at: sent,
                has_peers: evidence.has_peers,
                ..Evidence::default()
            };
        });
        self.cluster
            .registered
            .send_replace(Some(registered.clone()));
    }

    /// Keeps the lease of a life until it ends.
    async fn keep_lease(&mut self, life: &Life) -> LifeEnd {
        tokio::select! {
            end = beat(&self.cluster, &mut self.beats, life) => end,
            never = self.looks.run(life) => match never {},
            by = lost(&self.cluster) => LifeEnd::Fenced(by),
        }
    }

    /// Waits until no other process uses the name of this node.
    async fn wait_for_name(&mut self, ended: &Life) {
        let mut is_logged = false;
        loop {
            match self.beats.latest_life(&ended.name).await {
                Ok(Some((epoch, state))) if epoch != ended.epoch && state.is_alive() => {
                    if !mem::replace(&mut is_logged, true) {
                        tracing::error!(
                            node = ended.name,
                            "node not registered: another server uses its name (HEARTH_NODE_NAME)"
                        );
                    }
                }
                Ok(_) => return,
                Err(error) => tracing::debug!(%error, "name of this node not checked"),
            }
            pause(BEAT_EVERY, &self.cluster.beat_now).await;
        }
    }
}

/// Moves the beat until the life ends in the store.
async fn beat(cluster: &Cluster, connection: &mut MemberConnection, life: &Life) -> LifeEnd {
    let mut is_drained = false;
    loop {
        if cluster.is_draining() && !is_drained {
            is_drained = connection.drain(life).await.is_ok();
        }
        if let Some(load) = cluster.fresh_load() {
            let sent = Moment::now();
            let moved = connection.beat(life, load).await;
            note(cluster, &moved, sent);
            if let Ok(false) = moved
                && let Some(end) = why_ended(connection, life).await
            {
                return end;
            }
        } else {
            tracing::debug!("beat skipped: the server does not respond");
        }
        pause(jittered(BEAT_EVERY), &cluster.beat_now).await;
    }
}

/// Records the result of a beat.
fn note(cluster: &Cluster, moved: &Result<bool, StoreError>, sent: Moment) {
    let was_away = cluster.evidence.borrow().store_is_away;
    match moved {
        Ok(_) if was_away => tracing::info!("beats of this node resumed"),
        Err(error) if !was_away => tracing::warn!(%error, "beat of this node failed"),
        _ => {}
    }
    cluster.evidence.send_modify(|evidence| {
        evidence.store_is_away = moved.is_err();
        if let Ok(true) = moved {
            evidence.beaten_at = sent;
        }
    });
}

/// Returns the reason why the beat of a life did not move.
async fn why_ended(connection: &mut MemberConnection, life: &Life) -> Option<LifeEnd> {
    match connection.latest_life(&life.name).await.ok()? {
        Some((epoch, _)) if epoch > life.epoch => Some(LifeEnd::Fenced(FencedBy::Beat)),
        Some((epoch, state)) if epoch == life.epoch => {
            (!state.is_alive()).then_some(LifeEnd::Fenced(FencedBy::Beat))
        }
        // No verdict has ended this life, because the store has never known it.
        _ => Some(LifeEnd::Forgotten),
    }
}

/// Waits until the evidence says that the lease is lost.
async fn lost(cluster: &Cluster) -> FencedBy {
    let mut evidence = cluster.evidence.subscribe();
    loop {
        let current = *evidence.borrow_and_update();
        if let Some(by) = current.fenced {
            return by;
        }
        if current.is_isolated(Moment::now()) {
            return FencedBy::Isolation;
        }
        // The handle owns the sender.
        let _ = timeout(CHECK_EVERY, evidence.changed()).await;
    }
}
